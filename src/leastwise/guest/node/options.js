// Which environment variables an already running interpreter cannot take up any more.
'use strict';

// Read once by node, libuv, OpenSSL or the dynamic linker when the process starts.
const START_ONLY = [
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'NODE_ICU_DATA',
  'NODE_V8_COVERAGE',
  'UV_THREADPOOL_SIZE',
  'OPENSSL_CONF',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'LD_PRELOAD',
];
// V8 gives the generic process a heap of at most about 4 GiB.
const GENERIC_HEAP_MIB = 4096;

function memoryMib(variables) {
  return Number(variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE);
}

function needsFreshProcess(variables) {
  return START_ONLY.some((name) => variables[name]) || memoryMib(variables) > GENERIC_HEAP_MIB;
}

// The options of such a process. NODE_OPTIONS wins over them, as it does on AWS.
function freshArguments(variables) {
  const memory = memoryMib(variables);
  const heap = String(variables.NODE_OPTIONS || '').includes('max-old-space-size')
    ? []
    : [`--max-old-space-size=${Math.floor(memory * 0.9)}`];
  return heap;
}

module.exports = { needsFreshProcess, freshArguments };
