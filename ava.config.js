/** Tests are TypeScript that Node runs by itself; `test/run.ts` starts the cluster they share. */
export default {
  extensions: ['ts'],
  files: ['test/{unit,cluster,functions,image}/**/*.test.ts'],
  // A test file is an operating-system process, as functions are: signals, environment and crashes stay apart.
  workerThreads: false,
  timeout: '5m',
}
