// console.* as Lambda writes it: `<ISO time>\t<request id>\t<LEVEL>\t<message>`, one event per call.
'use strict';

const fs = require('node:fs');
const util = require('node:util');

const STDOUT = 1;
const LEVELS = { log: 'INFO', trace: 'TRACE', debug: 'DEBUG', info: 'INFO', warn: 'WARN', error: 'ERROR' };

let requestId;

function setRequestId(id) {
  requestId = id;
}

// Synchronous, so that nothing is lost when the process ends, and so that a flood of lines waits for its reader.
function writeAll(text) {
  let rest = Buffer.from(text, 'utf8');
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(STDOUT, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      // User code may have made the pipe non-blocking (process.stdout); wait a millisecond for the reader.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// SOURCE: AWS Lambda, "Log and monitor Node.js functions": without a telemetry descriptor the line breaks inside one
// event are carriage returns.
function writeEvent(level, message, params) {
  const line = `${new Date().toISOString()}\t${requestId}\t${level}\t${util.format(message, ...params)}`;
  writeAll(`${line.replace(/\n/g, '\r')}\n`);
}

function patchConsole() {
  for (const [method, level] of Object.entries(LEVELS)) {
    console[method] = (message, ...params) => writeEvent(level, message, params);
  }
}

module.exports = { patchConsole, setRequestId };
