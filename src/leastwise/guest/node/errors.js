// Errors as the Lambda runtime reports them: `{errorType, errorMessage, trace}` to the caller, one JSON line to the log.
'use strict';

const util = require('node:util');

function named(name) {
  const error = class extends Error {};
  Object.defineProperty(error.prototype, 'name', { value: name, configurable: true, writable: true });
  return error;
}

const ImportModuleError = named('Runtime.ImportModuleError');
const HandlerNotFound = named('Runtime.HandlerNotFound');
const MalformedHandlerName = named('Runtime.MalformedHandlerName');
const MalformedStreamingHandler = named('Runtime.MalformedStreamingHandler');
const CallbackHandlerDeprecated = named('Runtime.CallbackHandlerDeprecated');

class UserCodeSyntaxError extends named('Runtime.UserCodeSyntaxError') {
  constructor(cause) {
    super(String(cause));
    this.stack = cause.stack;
  }
}

class UnhandledPromiseRejection extends named('Runtime.UnhandledPromiseRejection') {
  constructor(reason, promise) {
    super(String(reason));
    this.reason = reason;
    this.promise = promise;
  }
}

class NodeJsExit extends named('Runtime.NodeJsExit') {
  constructor() {
    super(
      'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise ' +
        'that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes',
    );
  }
}

function looksLikeError(value) {
  return (
    util.types.isNativeError(value) ||
    (value &&
      typeof value.name === 'string' &&
      typeof value.message === 'string' &&
      typeof value.stack === 'string')
  );
}

// DEL is not allowed in the headers that carry these texts on AWS, so it arrives escaped there.
function escapeDelete(text) {
  return text?.replace(/\x7F/g, '%7F');
}

// What the caller of the function gets.
function toPayload(error) {
  try {
    if (looksLikeError(error)) {
      return {
        errorType: escapeDelete(error.name),
        errorMessage: escapeDelete(error.message),
        trace: escapeDelete(error.stack)?.split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    // A getter of the error threw.
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

function withHiddenMembers(_key, value) {
  if (!looksLikeError(value)) return value;
  const shown = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === 'string') shown.stack = value.stack.split('\n');
  return shown;
}

// What the log gets, behind a tab.
function toLog(error) {
  try {
    return `\t${JSON.stringify(error, withHiddenMembers)}`;
  } catch {
    return `\t${JSON.stringify(toPayload(error))}`;
  }
}

module.exports = {
  CallbackHandlerDeprecated,
  HandlerNotFound,
  ImportModuleError,
  MalformedHandlerName,
  MalformedStreamingHandler,
  NodeJsExit,
  UnhandledPromiseRejection,
  UserCodeSyntaxError,
  toLog,
  toPayload,
};
