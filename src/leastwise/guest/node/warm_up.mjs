// As warm_up.js, for the loader of ES modules.
export default null;
