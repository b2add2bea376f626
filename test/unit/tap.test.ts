import test from 'ava'
import { summary, tapReader } from '../tap.ts'

/** What AVA prints, and how its process ended → the closing line. */
const runs: [string, number, string, string][] = [
  [
    'all is well',
    0,
    'TAP version 13\nok 1 - a\nok 2 - b\n\n1..2\n# tests 2\n# pass 2\n# fail 0',
    '2 passed, 0 failed',
  ],
  [
    'a failure',
    1,
    'ok 1 - a\nnot ok 2 - b\n  ---\n    name: x\n  ...\n\n1..2\n# pass 1\n# fail 1',
    '1 passed, 1 failed',
  ],
  [
    'a skipped test',
    0,
    'ok 1 - a\nok 2 - b # SKIP\n\n1..2\n# pass 1\n# skip 1\n# fail 0',
    '1 passed, 0 failed, 1 skipped',
  ],
  ['a test to do', 1, 'not ok 1 - a # TODO\n\n1..1\n# pass 0\n# fail 1', '0 passed, 1 failed'],
  ['tests that never ran', 1, 'ok 1 - a\n\n1..3\n# pass 1\n# fail 2', '1 passed, 2 failed'],
  ['an exit code that no test explains', 1, 'ok 1 - a\n\n1..1\n# pass 1\n# fail 0', '1 passed, 1 failed'],
  ['output that breaks off', 0, 'ok 1 - a', '1 passed, 1 failed'],
  ['no output at all', 0, '', '0 passed, 1 failed'],
]

for (const [name, exitCode, output, expected] of runs) {
  test(`the closing line counts ${name}`, (t) => {
    const reader = tapReader()
    for (const line of output.split('\n')) reader.read(line)
    t.is(summary(reader.counts(exitCode)), expected)
  })
}

test('a title may look like TAP', (t) => {
  const reader = tapReader()
  t.is(reader.read('ok 1 - a # SKIP is a word › ok 2 - b'), '✔ a # SKIP is a word › ok 2 - b')
  t.is(reader.read('not ok 2 - x'), '✘ x')
  t.is(reader.read('#   what a test logs'), '#   what a test logs')
  t.is(reader.read('# name of a hook'), undefined)
})
