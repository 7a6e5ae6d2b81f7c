// The life of a specialised process: load the handler, then one invocation after the other.
'use strict';

const { finished } = require('node:stream/promises');
const { patchConsole, setRequestId } = require('./console.js');
const errors = require('./errors.js');
const { loadHandler } = require('./handler.js');
const streaming = require('./streaming.js');

// SOURCE: AWS Lambda Node.js runtime: status of the process after an error nobody caught.
const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;
const EXIT_INIT = 1;

class Runtime {
  constructor(channel) {
    this.channel = channel;
    this.handler = null;
    this.current = null; // the invocation that is not answered yet
    this.whenEmpty = null; // called when the event loop has nothing left to do
  }

  install() {
    patchConsole();
    streaming.install();
    process.on('uncaughtException', (error) => this.fatal('Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION));
    process.on('unhandledRejection', (reason, promise) =>
      this.fatal(
        'Unhandled Promise Rejection',
        new errors.UnhandledPromiseRejection(reason, promise),
        EXIT_UNHANDLED_REJECTION,
      ),
    );
    process.on('beforeExit', () => {
      const action = this.whenEmpty;
      this.whenEmpty = null;
      if (action) action();
    });
  }

  load() {
    process.chdir(process.env.LAMBDA_TASK_ROOT);
    // While user code runs the channel does not count as work: an event loop that runs empty means something then.
    this.channel.release();
    this.channel.onInvoke = (sequence, head, event) => this.invoke(sequence, head, event);
    loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER).then(
      (handler) => {
        this.handler = handler;
        this.channel.hold();
        this.channel.sayReady();
      },
      (error) => this.fatal('Uncaught Exception', error, EXIT_INIT),
    );
  }

  fatal(title, error, status) {
    console.error(title, errors.toLog(error));
    const payload = JSON.stringify(errors.toPayload(error));
    const leave = () => process.exit(status);
    if (!this.handler) this.channel.sayInitFailed(payload, leave);
    else if (this.current) this.channel.sayAnswer('X', this.current.sequence, payload, leave);
    else leave();
  }

  answer(invocation, kind, text) {
    if (this.current !== invocation) return;
    this.current = null;
    this.whenEmpty = null;
    this.channel.hold();
    this.channel.sayAnswer(kind, invocation.sequence, text);
  }

  fail(invocation, error) {
    if (this.current !== invocation) return;
    console.error('Invoke Error', errors.toLog(error));
    this.answer(invocation, 'E', JSON.stringify(errors.toPayload(error)));
  }

  succeed(invocation, result) {
    let text;
    try {
      text = JSON.stringify(result === undefined ? null : result) ?? 'null';
    } catch {
      this.fail(invocation, new Error('Unable to stringify response body'));
      return;
    }
    this.answer(invocation, 'O', text);
  }

  invoke(sequence, head, eventText) {
    const invocation = { sequence };
    this.current = invocation;
    setRequestId(head.requestId);
    if (head.traceId) process.env._X_AMZN_TRACE_ID = head.traceId;
    else delete process.env._X_AMZN_TRACE_ID;
    this.channel.release();
    try {
      if (this.handler[streaming.streamingMark]) this.runStreaming(invocation, head, JSON.parse(eventText));
      else this.run(invocation, head, JSON.parse(eventText));
    } catch (error) {
      this.fail(invocation, error);
    }
  }

  // A promise and the callbacks lead to the same place; the first of them counts.
  run(invocation, head, event) {
    let waits = true;
    const done = (error, result) =>
      error === undefined || error === null ? this.succeed(invocation, result) : this.fail(invocation, error);
    const callback = (error, result) => {
      if (!waits || (error !== undefined && error !== null)) done(error, result);
      else this.whenEmpty = () => done(null, result);
    };
    const context = {
      get callbackWaitsForEmptyEventLoop() {
        return waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waits = value;
      },
      succeed: (result) => done(null, result),
      fail: (error) => done(error ?? 'handled'),
      done,
    };
    // The handler neither answered nor left any work behind. An async one waits for a promise that nothing can settle.
    this.whenEmpty = () => {
      if (this.handler.constructor.name === 'AsyncFunction') this.fail(invocation, new errors.NodeJsExit());
      else this.succeed(invocation, null);
    };
    const result = this.handler(event, this.describe(context, head), callback);
    if (typeof result?.then === 'function') {
      result.then(context.succeed, context.fail).catch(context.fail);
    }
  }

  runStreaming(invocation, head, event) {
    const stream = new streaming.ResponseStream();
    const result = this.handler(event, stream, this.describe({ callbackWaitsForEmptyEventLoop: true }, head));
    if (typeof result?.then !== 'function') {
      throw new errors.MalformedStreamingHandler('Streaming does not support non-async handlers.');
    }
    this.whenEmpty = () => this.fail(invocation, new errors.NodeJsExit());
    result
      .then(() => {
        if (!stream.writableEnded) throw new Error('Response stream is not finished.');
        return finished(stream, { readable: false });
      })
      .then(() => this.answer(invocation, 'O', stream.text()))
      .catch((error) => this.fail(invocation, error));
  }

  describe(context, head) {
    return Object.assign(context, {
      functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: head.clientContext ? JSON.parse(head.clientContext) : undefined,
      identity: undefined,
      invokedFunctionArn: head.functionArn,
      awsRequestId: head.requestId,
      getRemainingTimeInMillis: () => head.deadlineMs - Date.now(),
    });
  }
}

module.exports = { Runtime };
