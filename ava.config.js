import { resolve } from 'node:path'

/** In the order in which test/suite.ts names them. */
const order = new Map(process.argv.map((argument, index) => [resolve(argument), index]))

/** Tests are TypeScript that Node runs by itself; `test/run.ts` starts the cluster they share. */
export default {
  extensions: ['ts'],
  files: ['test/{unit,cluster,functions,image}/**/*.test.ts'],
  require: ['./test/support/title.ts'],
  // A test file is an operating-system process, as functions are: signals, environment and crashes stay apart.
  workerThreads: false,
  // AVA's TAP does not survive this (dumpError wants an error of a test), nor does it come once a test has asked for
  // more: test/suite.ts ends what does not end, before.
  timeout: '30m',
  sortTestFiles: (one, other) => (order.get(one) ?? 0) - (order.get(other) ?? 0),
}
