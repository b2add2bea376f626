import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import test from 'ava'

const root = join(import.meta.dirname, '../..')
const sources = [
  'build.ts',
  'generate.ts',
  ...[
    'functions',
    'edge',
    'doctor',
    'e2e',
    'image',
    'shared',
    'generate',
    'sandbox',
    'test',
    'bench',
  ].flatMap(filesOf),
]

/** @returns every .ts file below a folder, by its path in the checkout; none where there is no such folder */
function filesOf(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  } catch {
    return []
  }
}

/** @returns files of the checkout and packages that a file imports in whatever form, types too */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\1/g)
  return [...found].map(([, , name = '']) =>
    name.startsWith('.') ? posix.normalize(posix.join(posix.dirname(file), name)) : name,
  )
}

const graph = new Map(sources.map((file) => [file, importsOf(file)]))

/** Who must not import what, and why. */
const rules: { what: string; from: RegExp; never: RegExp }[] = [
  {
    what: 'shared/osb knows no Kubernetes',
    from: /^shared\/osb\//,
    never: /^shared\/kubedb\/|^@kubernetes\//,
  },
  {
    what: 'shared/kubedb knows no HTTP of OSB',
    from: /^shared\/kubedb\//,
    never: /^shared\/osb\/|^(hono|@hono\/.*)$/,
  },
  {
    what: 'what is shared imports nothing that uses it',
    from: /^shared\//,
    never: /^(functions|doctor|generate|sandbox|test|bench)\/|^(build|generate)\.ts$/,
  },
  {
    what: 'functions and the edge router import what is shared, and packages',
    from: /^(functions|edge)\//,
    never: /^(functions|edge|doctor|generate|sandbox|test|bench)\/|^(build|generate)\.ts$/,
  },
  {
    what: 'the doctor imports what is shared and what the manifests are made of, and packages',
    from: /^doctor\//,
    never: /^(functions|edge|sandbox|test|bench)\/|^(build|generate)\.ts$/,
  },
  {
    what: 'the edge router knows neither databases nor the cluster',
    from: /^(edge|shared\/gateway)\//,
    never: /^shared\/kubedb\/|^(hono|@hono\/.*)$/,
  },
  { what: 'generators are pure', from: /^generate\//, never: /^(functions|sandbox|test|bench)\/|^node:/ },
  {
    what: 'the sandbox knows functions as processes only',
    from: /^sandbox\//,
    never: /^(functions|test|bench)\//,
  },
  {
    what: 'tools and tests know functions as processes only',
    from: /^(test|bench)\//,
    never: /^functions\//,
  },
]

for (const { what, from, never } of rules) {
  test(`imports point one way: ${what}`, (t) => {
    const wrong = [...graph].flatMap(([file, imports]) =>
      from.test(file)
        ? imports.filter((name) => never.test(name)).map((name) => `${file} imports ${name}`)
        : [],
    )
    t.deepEqual(wrong, [])
  })
}

test('every file that is imported is there', (t) => {
  const missing = [...graph].flatMap(([file, imports]) =>
    imports
      .filter((name) => name.endsWith('.ts') && !name.startsWith('../') && !graph.has(name))
      .map((name) => `${file} imports ${name}`),
  )
  t.deepEqual(missing, [])
})

test('the files were found', (t) => {
  t.true(graph.size > 50)
  t.true(graph.get('sandbox/gateway.ts')?.includes('shared/routes.ts'))
})
