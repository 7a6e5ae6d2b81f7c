// The program of a Node environment. It starts generic, says so, and waits on file descriptor 3 until it is told whose
// code it runs; then it loads the handler and answers one invocation at a time.
//
// Runs inside the sandbox with nothing but the standard library. Everything it says on file descriptor 3 is judged by
// the gateway as hostile input (linux/node_channel.py), because user code can write there too.
'use strict';

const childProcess = require('node:child_process');
const Module = require('node:module');
const { Channel } = require('./channel.js');
const { patchConsole } = require('./console.js');
const { needsFreshProcess, freshArguments } = require('./options.js');
const { Runtime } = require('./runtime.js');

const CHANNEL_FD = 3;
const SPECIALISED = '--specialised';

function adoptEnvironment(variables) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, variables);
  // NODE_PATH was read when the process started; layers put their modules there.
  Module._initPaths();
}

// Some variables are read by the interpreter at its start only (NODE_OPTIONS). Such a function gets a process of its
// own, started with them; this one keeps the status for it.
function handOver(channel, variables) {
  channel.stop();
  const child = childProcess.spawn(process.execPath, [...freshArguments(variables), __filename, SPECIALISED], {
    env: variables,
    cwd: variables.LAMBDA_TASK_ROOT,
    stdio: ['ignore', 1, 2, CHANNEL_FD],
  });
  child.on('error', () => process.exit(127));
  child.on('exit', (status, signal) => (signal ? process.kill(process.pid, signal) : process.exit(status)));
}

function begin(channel) {
  process.chdir(process.env.LAMBDA_TASK_ROOT);
  patchConsole();
  new Runtime(channel).start();
}

const channel = new Channel(CHANNEL_FD);
if (process.argv.includes(SPECIALISED)) {
  process.argv.length = 2;
  begin(channel);
} else {
  channel.onSpecialise = (variables) => {
    if (needsFreshProcess(variables)) return handOver(channel, variables);
    adoptEnvironment(variables);
    return begin(channel);
  };
  channel.sayGeneric();
}
