// Finding and loading the handler named `directory/file.export.sub`.
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const errors = require('./errors.js');
const { streamingMark } = require('./streaming.js');

// The name AWS's own runtime has; it shows in the "Require stack" of a module that cannot be found.
const requireForUser = createRequire('/var/runtime/index.mjs');

function isTypeModule(directory) {
  if (path.basename(directory) === 'node_modules') return false;
  const file = path.join(directory, 'package.json');
  if (fs.existsSync(file)) {
    try {
      return JSON.parse(fs.readFileSync(file, 'utf8')).type === 'module';
    } catch {
      return false; // node itself reports a broken package.json when it loads the module
    }
  }
  const parent = path.dirname(directory);
  return parent !== directory && isTypeModule(parent);
}

// SOURCE: AWS Lambda Developer Guide, "Define Lambda function handler in Node.js" and "Designating a function handler as
// an ES module": no extension, then .js (as package.json says), .mjs, .cjs, then a package by that name.
async function loadModule(taskRoot, directory, name) {
  const base = path.resolve(taskRoot, directory, name);
  const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
  const asModule = isTypeModule(path.dirname(base));
  if (isFile(base)) return requireForUser(base);
  if (isFile(`${base}.js`)) return asModule ? import(`${base}.js`) : requireForUser(`${base}.js`);
  if (isFile(`${base}.mjs`)) return import(`${base}.mjs`);
  if (isFile(`${base}.cjs`)) return requireForUser(`${base}.cjs`);
  return requireForUser(requireForUser.resolve(name, { paths: [taskRoot, path.resolve(taskRoot, directory)] }));
}

// SOURCE: AWS Lambda runtimes, "Node.js 24": callback handlers are no longer supported.
function refuseCallback(handler) {
  const major = Number(/nodejs(\d+)\.x/.exec(process.env.AWS_EXECUTION_ENV || '')?.[1] ?? 0);
  if (major >= 24 && handler.length >= 3 && !handler[streamingMark]) {
    throw new errors.CallbackHandlerDeprecated(
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need ' +
        'to modify this function to use a supported handler signature to use Node.js 24 or later.',
    );
  }
}

async function loadHandler(taskRoot, name) {
  if (name.includes('..')) {
    throw new errors.MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const file = path.basename(name);
  const directory = name.slice(0, name.length - file.length);
  const parts = /^([^.]*)\.(.+)$/.exec(file);
  if (!parts) throw new errors.MalformedHandlerName('Bad handler');
  let module;
  try {
    module = await loadModule(taskRoot, directory, parts[1]);
  } catch (error) {
    if (error instanceof SyntaxError) throw new errors.UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND') throw new errors.ImportModuleError(String(error));
    throw error;
  }
  const handler = parts[2].split('.').reduce((value, key) => value && value[key], module);
  if (!handler) throw new errors.HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new errors.HandlerNotFound(`${name} is not a function`);
  refuseCallback(handler);
  return handler;
}

module.exports = { loadHandler };
