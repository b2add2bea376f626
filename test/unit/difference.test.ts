import test from 'ava'
import { changed, type Difference, difference } from '../../generate/webhook-record/difference.ts'
import { mergePatch } from '../../shared/osb/parameters/merge-patch.ts'
import type { JsonObject } from '../../shared/values/json.ts'

const cases: [what: string, before: JsonObject, after: JsonObject, difference: Difference][] = [
  ['nothing', { a: 1, b: [1] }, { b: [1], a: 1 }, {}],
  ['a member more', { a: {} }, { a: { b: {} } }, { '/a/b': {} }],
  ['a member less', { a: { b: 1, c: 2 } }, { a: { c: 2 } }, { '/a/b': null }],
  ['another value', { a: { b: '1.5Gi' } }, { a: { b: '1536Mi' } }, { '/a/b': '1536Mi' }],
  ['a key with a slash', { 'x/y~': 1 }, { 'x/y~': 2 }, { '/x~1y~0': 2 }],
  ['a list without names', { a: [1, 2] }, { a: [1, 3] }, { '/a': [1, 3] }],
  [
    'a member of a list, and one more',
    { a: [{ name: 'x', b: { c: 1 } }] },
    { a: [{ name: 'x', b: { c: 2 } }, { name: 'y' }] },
    { '/a/[x]/b/c': 2, '/a/+': [{ name: 'y' }] },
  ],
  [
    'members known by their alias',
    { a: [{ alias: 'server' }] },
    { a: [{ alias: 'server', secretName: 's' }] },
    { '/a/[server]/secretName': 's' },
  ],
  [
    'a list in another order is another list',
    { a: [{ name: 'x' }, { name: 'y' }] },
    { a: [{ name: 'y' }, { name: 'x' }] },
    { '/a': [{ name: 'y' }, { name: 'x' }] },
  ],
  [
    'two of one name',
    { a: [{ name: 'x' }] },
    { a: [{ name: 'x' }, { name: 'x' }] },
    { '/a': [{ name: 'x' }, { name: 'x' }] },
  ],
]

for (const [what, before, after, expected] of cases)
  test(`a difference leads from one value to the other: ${what}`, (t) => {
    const found = difference(before, after)
    t.deepEqual(found, expected)
    t.deepEqual(changed(before, found), after)
  })

test('a merge patch sets, takes away, and replaces lists whole', (t) => {
  const before = { a: { b: 1, c: [1] }, d: 2 }
  const after = mergePatch(before, { a: { b: null, c: [2] }, e: { f: null, g: 1 } })
  t.deepEqual(after, { a: { c: [2] }, d: 2, e: { g: 1 } })
  t.deepEqual(before, { a: { b: 1, c: [1] }, d: 2 })
})
