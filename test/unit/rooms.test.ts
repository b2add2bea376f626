import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import test from 'ava'
import * as v from 'valibot'

const root = join(import.meta.dirname, '../..')

/** One room importing another, or a package. */
interface Arrow {
  from: string
  to: string
}

/** Rooms and arrows as docs/architecture.md draws them. */
const picture = (() => {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
  const drawn = /```mermaid\nflowchart[^\n]*\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
  const arrows = [...drawn.matchAll(/^ *([\w/]+) --> ([\w/& ]+)$/gm)].flatMap(([, from = '', to = '']) =>
    to.split(' & ').map((one): Arrow => ({ from, to: one })),
  )
  const rooms = [...new Set(arrows.flatMap(({ from, to }) => [from, to]))]
  return { rooms, arrows }
})()

/** @returns every room that an arrow, or several one after the other, leads to */
function below(room: string, seen = new Set<string>()): Set<string> {
  for (const { from, to } of picture.arrows) {
    if (from !== room || seen.has(to)) continue
    seen.add(to)
    below(to, seen)
  }
  return seen
}

/** @returns a file of a room: of `osb` it is the one at its top */
const fileIn = (room: string, name = 'some.ts') =>
  room === 'osb'
    ? 'shared/osb/operation.ts'
    : tops.includes(room)
      ? `${room}/${name}`
      : `shared/${room}/${name}`

const tops = ['functions', 'edge', 'doctor', 'generate', 'sandbox', 'test', 'bench', 'e2e', 'image']

/**
 * Plants a file for each arrow in a folder that has the lint rules of this one, and lints them all.
 *
 * @returns the arrows that were refused, and those that were not
 */
function lint(arrows: readonly Arrow[]): { refused: string[]; taken: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'rooms-'))
  try {
    const settings = v.parse(v.looseObject({}), JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')))
    const plain = { ...settings, vcs: undefined, $schema: undefined }
    writeFileSync(join(folder, 'biome.json'), JSON.stringify(plain))
    const planted = arrows.map((arrow, index) => {
      const { from, to } = arrow
      const file = from === 'osb' ? fileIn(from) : fileIn(from, `planted-${index}.ts`)
      const name = to.startsWith('package:')
        ? to.slice(8)
        : relative(dirname(file), fileIn(to)).replace(/^(?!\.)/, './')
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      // The one file at the top of osb has all of its arrows.
      writeFileSync(join(folder, file), `export * from '${name}'\n`, { flag: 'a' })
      return { arrow, file, line: readFileSync(join(folder, file), 'utf8').split('\n').length - 1 }
    })
    const biome = join(root, 'node_modules/.bin/biome')
    const { stdout } = spawnSync(
      biome,
      ['lint', '--reporter=json', '--max-diagnostics=none', '--only=noRestrictedImports', '.'],
      { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
    )
    const { diagnostics } = v.parse(
      v.object({
        diagnostics: v.array(
          v.object({ location: v.object({ path: v.string(), start: v.object({ line: v.number() }) }) }),
        ),
      }),
      JSON.parse(stdout),
    )
    const found = new Set(diagnostics.map(({ location }) => `${location.path}:${location.start.line}`))
    const told = planted.map(({ arrow: { from, to }, file, line }) => ({
      words: `${from} imports ${to}`,
      refused: found.has(`${file}:${line}`),
    }))
    const those = (wanted: boolean) =>
      told.filter(({ refused }) => refused === wanted).map(({ words }) => words)
    return { refused: those(true), taken: those(false) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('every folder of shared is a room of the picture', (t) => {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'shared'], {
    cwd: root,
    encoding: 'utf8',
  })
  const rooms = new Set(
    files
      .split('\n')
      .flatMap((file) => /^shared\/((?:osb|kubedb)\/[a-z]+|(?!osb|kubedb)[a-z]+)\//.exec(file)?.[1] ?? []),
  )
  t.deepEqual([...rooms].sort(), picture.rooms.filter((room) => !['functions', 'osb'].includes(room)).sort())
})

test('the picture has no circle', (t) => {
  t.deepEqual(
    picture.rooms.filter((room) => below(room).has(room)),
    [],
  )
})

test('what the picture draws is let through by lint, and what it does not is refused', (t) => {
  t.deepEqual(lint(picture.arrows).refused, [])
  const never = picture.rooms.flatMap((from) =>
    picture.rooms.filter((to) => to !== from && !below(from).has(to)).map((to): Arrow => ({ from, to })),
  )
  t.true(never.length > 200)
  t.deepEqual(lint(never).taken, [])
})

test('packages and folders stay where they belong', (t) => {
  const never: Arrow[] = [
    ...['osb/edge', 'osb/messages', 'osb/catalog', 'osb/parameters', 'osb/authentication', 'gateway'].map(
      (from) => ({ from, to: 'package:@kubernetes/client-node' }),
    ),
    ...['cluster', 'databases', 'records', 'observed', 'steps', 'bindings', 'instances'].map((room) => ({
      from: `kubedb/${room}`,
      to: 'package:hono',
    })),
    { from: 'gateway', to: 'package:hono' },
    { from: 'edge', to: 'package:hono' },
    { from: 'edge', to: 'kubedb/records' },
    { from: 'generate', to: 'package:node:fs' },
    ...picture.rooms
      .filter((room) => room !== 'functions')
      .flatMap((from) => tops.map((to) => ({ from, to }))),
    ...tops.filter((to) => to !== 'functions').map((to) => ({ from: 'functions', to })),
    ...tops.filter((to) => to !== 'edge').map((to) => ({ from: 'edge', to })),
    ...['functions', 'edge', 'sandbox', 'test', 'bench'].map((to) => ({ from: 'doctor', to })),
    ...['functions', 'sandbox', 'test', 'bench'].map((to) => ({ from: 'generate', to })),
    ...['functions', 'test', 'bench'].map((to) => ({ from: 'sandbox', to })),
    { from: 'test', to: 'functions' },
    { from: 'bench', to: 'functions' },
  ]
  t.deepEqual(lint(never).taken, [])
})
