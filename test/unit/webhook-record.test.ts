/** What the broker asks of KubeDB is what KubeDB's own webhooks were asked about, and they take it. */
import test from 'ava'
import { differences } from '../../shared/kubedb/instances/planner.ts'
import { canonical, equal, isObject, type JsonObject } from '../../shared/values/json.ts'
import { specOf, webhookCases } from '../support/webhook-cases.ts'
import { defaulted, readRecord, recordCommand, recordedKinds } from '../support/webhook-record.ts'

const cases = webhookCases()

test('every kind that the broker knows was asked about', (t) => {
  t.deepEqual(recordedKinds().sort(), cases.map(({ kind }) => kind.kind).sort())
})

for (const { kind, databases, changes } of cases) {
  const record = readRecord(kind.kind)

  test(`${kind.kind}: what is asked of KubeDB is what its webhooks were asked`, (t) => {
    const again = `ask them: ${recordCommand} --kind ${kind.kind}`
    for (const { title, draft } of databases) {
      const judged = record.databases[title]
      if (!judged) return t.fail(`nothing is recorded of ${title}; ${again}`)
      const differ = differences(judged.draft, specOf(draft))
      t.deepEqual(differ, [], `${title}: spec.${differ[0]} is not what was judged; ${again}`)
    }
    for (const { title, before, write } of changes) {
      const judged = record.changes[title]
      if (!judged) return t.fail(`nothing is recorded of ${title}; ${again}`)
      t.true(equal(judged.write, write), `${title} writes ${canonical(write)}; ${again}`)
      const state = record.databases[judged.before] ?? record.states[judged.before]
      t.true(equal(state?.draft, before), `${title} is not about what was judged; ${again}`)
    }
    const titles = new Set([...databases, ...changes].map(({ title }) => title))
    const gone = [...Object.keys(record.databases), ...Object.keys(record.changes)].filter(
      (title) => !titles.has(title),
    )
    t.deepEqual(gone, [], `recorded, but nobody asks for it any more; ${again}`)
  })

  test(`${kind.kind}: KubeDB takes every database and every change of it`, (t) => {
    for (const part of [record.databases, record.states, record.changes])
      for (const [title, { answer }] of Object.entries(part))
        t.true(answer?.allowed, `${title}: ${canonical(answer)}`)
  })
}

/** What KubeDB makes something else of than was asked for, with the reason why nothing waits for it. */
const rewritten: { dimension: string; when: (spec: JsonObject) => boolean; why: string }[] = [
  {
    dimension: 'deletionPolicy',
    when: ({ halted }) => halted === true,
    why: 'while a database is halted its policy is Halt; a deprovision resumes it and puts the policy back first',
  },
]

test('no dimension takes what KubeDB fills in for a change that has still to be made', (t) => {
  const met = new Set<string>()
  for (const { kind } of cases) {
    const record = readRecord(kind.kind)
    for (const [title, { draft }] of Object.entries({ ...record.databases, ...record.states })) {
      const made = defaulted(record, title)?.spec
      if (!isObject(made)) continue
      for (const { name, read, reached } of kind.dimensions) {
        const [now, wanted] = [read(made), read(draft)]
        if (equal(now, wanted) || reached(now, wanted)) continue
        const known = rewritten.some(({ dimension, when }) => dimension === name && when(draft))
        if (known) met.add(name)
        t.true(known, `${title}: ${name} is ${canonical(now)}, not ${canonical(wanted)}`)
      }
    }
  }
  for (const { dimension, why } of rewritten)
    t.true(met.has(dimension), `${dimension} is as asked for: ${why}`)
})
