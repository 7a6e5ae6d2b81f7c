// `awslambda.streamifyResponse`: handlers that write to a stream. The stream is collected and sent as one response.
'use strict';

const { Writable } = require('node:stream');

const streamingMark = Symbol.for('aws.lambda.runtime.handler.streaming');

class ResponseStream extends Writable {
  constructor() {
    super({ decodeStrings: true });
    this.parts = [];
    this.prelude = null;
  }

  setContentType(type) {
    this.contentType = type;
  }

  _write(chunk, _encoding, done) {
    if (this.prelude !== null) {
      this.parts.push(this.prelude);
      this.prelude = null;
    }
    this.parts.push(chunk);
    done();
  }

  text() {
    if (this.prelude !== null) this.parts.push(this.prelude);
    return Buffer.concat(this.parts).toString('utf8');
  }
}

// Anything else than a string or bytes is written as JSON, as on AWS.
const plainWrite = ResponseStream.prototype.write;
ResponseStream.prototype.write = function write(chunk, ...rest) {
  const raw = typeof chunk === 'string' || chunk instanceof Uint8Array;
  return plainWrite.call(this, raw ? chunk : JSON.stringify(chunk), ...rest);
};

function install() {
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[streamingMark] = 'response';
      if (typeof options?.highWaterMark === 'number') {
        handler[Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')] = options.highWaterMark;
      }
      return handler;
    },
    HttpResponseStream: {
      // SOURCE: AWS Lambda, "Response streaming": a JSON prelude, eight NUL bytes, then the body.
      from(stream, prelude) {
        stream.setContentType('application/vnd.awslambda.http-integration-response');
        stream.prelude = Buffer.concat([Buffer.from(JSON.stringify(prelude)), Buffer.alloc(8)]);
        return stream;
      },
    },
  };
}

module.exports = { ResponseStream, install, streamingMark };
