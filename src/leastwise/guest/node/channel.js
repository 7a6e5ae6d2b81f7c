// Frames on the inherited socket. One frame: 4 bytes length of the body (big endian), 1 byte kind, body.
//
//   to the guest    S  specialise      JSON: the complete environment variables
//                   L  load            the package is in its place
//                   I  invoke          4 bytes sequence number, 4 bytes length of the head, head (JSON), event (JSON text)
//   from the guest  G  generic         started, waiting to be specialised
//                   R  ready           the handler is loaded
//                   F  init failed     error JSON; the process ends
//                   O  output          4 bytes sequence number, result (JSON text)
//                   E  error           4 bytes sequence number, error JSON
//                   X  fatal error     as E; the process ends
//                   T  too large       4 bytes sequence number; the result is over the limit and was not sent
'use strict';

const net = require('node:net');

const HEADER = 5;
// SOURCE: AWS Lambda quotas and the Runtime API's 413 message: 6 MiB + 100 bytes.
const MAX_RESPONSE = 6291556;

class Channel {
  constructor(fd) {
    this.onSpecialise = null;
    this.onLoad = null;
    this.onInvoke = null;
    this.chunks = [];
    this.size = 0;
    this.wanted = HEADER;
    this.socket = new net.Socket({ fd, readable: true, writable: true });
    this.socket.on('data', (chunk) => this.feed(chunk));
    // The gateway is gone: nobody can be served any more.
    this.socket.on('close', () => process.exit(0));
    this.socket.on('error', () => process.exit(0));
  }

  // An idle process must stay alive, a handler's event loop must be able to run empty: see Runtime.
  hold() {
    this.socket.ref();
  }

  release() {
    this.socket.unref();
  }

  // A child has the descriptor now; nothing of what comes may be read here.
  leave() {
    this.socket.removeAllListeners('close');
    this.socket.destroy();
  }

  feed(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    while (this.size >= this.wanted) {
      const bytes = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks, this.size);
      this.chunks = [bytes];
      const end = HEADER + bytes.readUInt32BE(0);
      if (bytes.length < end) {
        this.wanted = end;
        return;
      }
      this.chunks = bytes.length > end ? [bytes.subarray(end)] : [];
      this.size = bytes.length - end;
      this.wanted = HEADER;
      this.dispatch(bytes[4], bytes.subarray(HEADER, end));
    }
  }

  dispatch(kind, body) {
    if (kind === 0x53 /* S */) {
      this.onSpecialise(JSON.parse(body.toString('utf8')));
    } else if (kind === 0x4c /* L */) {
      this.onLoad();
    } else if (kind === 0x49 /* I */) {
      const headEnd = 8 + body.readUInt32BE(4);
      this.onInvoke(body.readUInt32BE(0), JSON.parse(body.toString('utf8', 8, headEnd)), body.toString('utf8', headEnd));
    }
  }

  send(kind, sequence, text, sent) {
    const extra = sequence === null ? 0 : 4;
    const size = Buffer.byteLength(text);
    const frame = Buffer.allocUnsafe(HEADER + extra + size);
    frame.writeUInt32BE(extra + size, 0);
    frame.write(kind, 4, 'latin1');
    if (extra) frame.writeUInt32BE(sequence, HEADER);
    frame.write(text, HEADER + extra, 'utf8');
    this.socket.write(frame, sent);
  }

  sayGeneric() {
    this.send('G', null, '');
  }

  sayReady() {
    this.send('R', null, '');
  }

  sayInitFailed(text, sent) {
    this.send('F', null, text, sent);
  }

  sayAnswer(kind, sequence, text, sent) {
    if (Buffer.byteLength(text) > MAX_RESPONSE) this.send('T', sequence, '', sent);
    else this.send(kind, sequence, text, sent);
  }
}

module.exports = { Channel };
