// Loaded once by a generic process, so that the first module of a function finds node's loader warm.
'use strict';

exports.handler = () => null;
