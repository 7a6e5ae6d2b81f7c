// The program of a Node environment. It starts generic, says so, and waits on file descriptor 3 until it is told whose
// code it runs; then it loads the handler and answers one invocation at a time.
//
// Runs inside the sandbox with nothing but the standard library. Everything it says on file descriptor 3 is judged by
// the gateway as hostile input (linux/node_channel.py), because user code can write there too.
'use strict';

const childProcess = require('node:child_process');
const Module = require('node:module');
const util = require('node:util');
const { Channel } = require('./channel.js');
const { loadHandler } = require('./handler.js');
const { needsFreshProcess, freshArguments } = require('./options.js');
const { Runtime } = require('./runtime.js');

const CHANNEL_FD = 3;
const SPECIALISED = '--specialised';

function adoptEnvironment(variables) {
  // MEASURED: touching TZ makes V8 read the time zone again, 6.6 ms (node 20 and 24, 2 cores, 2026-11); so variables
  // that stay as they are stay alone.
  for (const name of Object.keys(process.env)) {
    if (!(name in variables)) delete process.env[name];
  }
  for (const [name, value] of Object.entries(variables)) {
    if (process.env[name] !== value) process.env[name] = value;
  }
  // NODE_PATH was read when the process started; layers put their modules there.
  Module._initPaths();
}

async function warmUp() {
  await loadHandler(__dirname, 'warm_up.handler');
  await import('./warm_up.mjs');
  util.format('%s', new Date().toISOString(), {});
}

// Some variables are read by the interpreter at its start only (NODE_OPTIONS). Such a function gets a process of its
// own, started with them; this one keeps the status for it.
function handOver(channel, variables) {
  const child = childProcess.spawn(process.execPath, [...freshArguments(variables), __filename, SPECIALISED], {
    env: variables,
    cwd: variables.LAMBDA_TASK_ROOT,
    stdio: ['ignore', 1, 2, CHANNEL_FD],
  });
  channel.leave();
  child.on('error', () => process.exit(127));
  child.on('exit', (status, signal) => (signal ? process.kill(process.pid, signal) : process.exit(status)));
}

const channel = new Channel(CHANNEL_FD);
const runtime = new Runtime(channel);

if (process.argv.includes(SPECIALISED)) {
  process.argv.length = 2;
  runtime.install();
  runtime.load();
} else {
  // Two steps, so that the first runs while the sandbox mounts the package.
  channel.onSpecialise = (variables) => {
    if (needsFreshProcess(variables)) {
      channel.onLoad = () => handOver(channel, variables);
    } else {
      adoptEnvironment(variables);
      runtime.install();
      channel.onLoad = () => runtime.load();
    }
  };
  // Paid before anybody waits: what the first module, the first import and the first log line cost.
  warmUp().then(() => channel.sayGeneric());
}
