import test from 'ava'
import { admits, within } from '../../shared/kubedb/instances/version-range.ts'

/** [version, range, whether it lies in it; undefined: not understood] */
const table: [string, string, boolean | undefined][] = [
  ['18.3', '>= 18.3', true],
  ['18.2', '>= 18.3', false],
  ['18', '>= 18.0', true],
  ['9.1.0', '>= 8.4.8, <= 9.1.0', true],
  ['9.1.1', '>= 8.4.8, <= 9.1.0', false],
  ['8.4.7', '>= 8.4.8, <= 9.1.0', false],
  ['9.1.7', '<= 9.1', true],
  ['9.2.0', '<= 9.1', false],
  ['9.9.9', '<= 9', true],
  ['9.0.0', '< 9', false],
  ['8.9.9', '< 9', true],
  ['10.0.0', '>9.1', true],
  ['9.1.4', '> 9.1', false],
  ['7.4.1', '7.4.1', true],
  ['7.4.2', '7.4.1', false],
  ['7.4.2', '7.4', true],
  ['7.4.1', '= 7.4.1', true],
  ['7.4.1', '!= 7.4.1', false],
  ['7.4.2', '!= 7.4.1', true],
  ['5.0.0', '< 4 || >= 5', true],
  ['4.5.0', '< 4 || >= 5', false],
  ['10.0.0', '>= 9.0.0', true],
  // more than numbers
  ['2025-cu0', '>= 2022-cu12, < 2025-cu1', undefined],
  ['8.0.0', '~> 8', undefined],
  // what is not understood decides only where nothing else does
  ['8.0.0', '~> 8, < 7', false],
  ['8.0.0', '~> 8 || >= 8', true],
]

for (const [version, range, verdict] of table) {
  test(`${version} in ${range}: ${verdict}`, (t) => {
    t.is(within(version, range), verdict)
  })
}

test('nothing listed as allowed allows all; what is denied is denied whatever is allowed', (t) => {
  t.is(admits({ allow: [], deny: [] }, '1.0'), true)
  t.is(admits({ allow: ['< 2', '>= 4'], deny: [] }, '4.1'), true)
  t.is(admits({ allow: ['< 2', '>= 4'], deny: [] }, '3.0'), false)
  t.is(admits({ allow: ['>= 1'], deny: ['< 4'] }, '3.0'), false)
  t.is(admits({ allow: [], deny: ['< 4'] }, '4.0'), true)
  t.is(admits({ allow: ['latest'], deny: [] }, '4.0'), undefined)
  t.is(admits({ allow: ['latest'], deny: ['< 5'] }, '4.0'), false)
})
