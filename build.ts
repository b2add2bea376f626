/**
 * Bundles the functions, the dashboard, the edge router and the doctor: `dist/functions/<name>/index.js` each. What
 * several functions need is in `chunks/` once, by which functions need it, so that none loads what it does not use; what
 * is imported lazily (drivers, telemetry) is read only when used.
 *
 * Usage: `node build.ts [folder] [--verify]`; the latter adds what `skaffold verify` runs
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { edgeRouter, type FunctionName, routes } from './shared/routes.ts'

/**
 * Node's own modules without an `import` of them. That would evaluate all they export, also what is made only when it is
 * read: node:http brings all of fetch, half of the start of a function.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^/ }, ({ path, kind }) => {
      if (!isBuiltin(path)) return undefined
      if (kind === 'require-call') return { path, namespace: 'builtin-required' }
      return kind === 'import-statement' ? { path, namespace: 'builtin-imported' } : undefined
    })
    const get = (path: string) => `process.getBuiltinModule(${JSON.stringify(path)})`
    onLoad({ filter: /^/, namespace: 'builtin-required' }, ({ path }) => ({
      contents: `module.exports = ${get(path)}`,
    }))
    onLoad({ filter: /^/, namespace: 'builtin-imported' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter((name) => name !== 'default')
      // What is marked pure and not used is left out of the bundle.
      const exports = names.map(
        (name) => `const _${name} = /* @__PURE__ */ (() => it.${name})(); export { _${name} as ${name} }`,
      )
      return {
        contents: `const it = /* @__PURE__ */ ${get(path)}; export default it; ${exports.join('; ')}`,
      }
    })
  },
}

/**
 * MongoDB's driver reads addresses by a URL parser in JavaScript, whose tables of international names are a fifth of
 * what it takes to load the driver. Node has such a parser built in.
 */
const urls: Plugin = {
  name: 'urls',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^whatwg-url$/ }, ({ path }) => ({ path, namespace: 'urls' }))
    onLoad({ filter: /^/, namespace: 'urls' }, () => ({ contents: 'module.exports = globalThis' }))
  },
}

/** What lazily imported modules are loaded into: the drivers of databases by some functions, all else by any of them. */
const loaders = {
  drivers: ['bind', 'unbind', 'last-binding-operation'],
  others: ['catalog'],
} as const satisfies Record<string, readonly FunctionName[]>

/**
 * Keeps the number of files low that a function reads at its start. Code goes into a chunk for each set of bundles that
 * need it, and a lazily imported module is a bundle: each of them would cut up what it shares with the functions in its
 * own way. So each imports all that the functions have read by the time they load it, needed or not.
 */
const together: Plugin = {
  name: 'together',
  setup({ onResolve, onLoad }) {
    const sources = join(import.meta.dirname, 'functions')
    const lazy = new Set<string>()
    const importing = async (name: keyof typeof loaders, path: string) => ({
      contents: `import 'together:${name}'; ${await readFile(path, 'utf8')}`,
      loader: 'ts' as const,
      resolveDir: dirname(path),
    })
    onResolve({ filter: /^\./ }, ({ path, kind, resolveDir }) => {
      if (kind === 'dynamic-import') lazy.add(join(resolveDir, path))
      return undefined
    })
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const name = dirname(path) === sources ? basename(path, '.ts') : undefined
      for (const loader of ['drivers', 'others'] as const) {
        if (loaders[loader].some((one) => one === name)) return importing(loader, path)
      }
      if (!lazy.has(path)) return undefined
      return importing(dirname(path).endsWith('/databases/users') ? 'drivers' : 'others', path)
    })
    onResolve({ filter: /^together:/ }, ({ path }) => ({ path, namespace: 'together' }))
    onLoad({ filter: /^/, namespace: 'together' }, async ({ path }) => {
      const names: readonly FunctionName[] = path === 'together:drivers' ? loaders.drivers : loaders.others
      const texts = await Promise.all(names.map((name) => readFile(join(sources, `${name}.ts`), 'utf8')))
      const imported = texts.flatMap((text) =>
        [...text.matchAll(/^import (?!type\b)[^'"]*'(\.[^']+)'$/gm)].map(([, from]) => `import '${from}'`),
      )
      return { contents: [...new Set(imported)].join('\n'), resolveDir: sources }
    })
  },
}

/** For what never logs in to a database: the drivers are no part of it. */
const undriven: Plugin = {
  name: 'undriven',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/users\/[a-z]+\.ts$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, namespace: 'undriven' } : undefined,
    )
    onLoad({ filter: /^/, namespace: 'undriven' }, () => ({
      contents: "export const connect = () => { throw new Error('there are no drivers here') }",
    }))
  },
}

/** What all builds have in common. */
const options = {
  absWorkingDir: import.meta.dirname,
  // Names of chunks follow from their source maps too, which tell the way to the sources: it is that from here,
  // wherever the bundles are written.
  outdir: 'dist/functions',
  write: false,
  metafile: true,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  // Names stay as they are: they appear in logs, and to keep them beside short ones costs time at every start.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'error',
  plugins: [builtins, urls],
  // pg takes this faster driver if it is there; it is not.
  external: ['pg-native'],
} satisfies BuildOptions

/**
 * Builds all functions of the route map, the dashboard, the edge router, and the doctor. The same sources give the same
 * bytes.
 *
 * @param outdir receives the bundles; earlier ones in it are removed
 * @param more bundles by their names, with their sources
 * @returns the files that the bundles were made from, by their paths in the checkout
 * @throws when a source does not compile; the message names file and line
 */
export async function buildFunctions(
  outdir: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const names = routes.map((route) => route.function)
  const alone = { [edgeRouter]: 'edge/router.ts', doctor: 'doctor/main.ts', ...more }
  const built = await Promise.all([
    build({
      ...options,
      plugins: [...options.plugins, together],
      entryPoints: Object.fromEntries(names.map((name) => [`${name}/index`, `functions/${name}.ts`])),
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
    }),
    // Each by itself: what it has in common with the functions would be one more file for each of them to read.
    ...Object.entries(alone).map(([name, source]) =>
      build({ ...options, entryPoints: { [`${name}/index`]: source } }),
    ),
    // Likewise. What signs people in is read only when somebody signs in.
    build({
      ...options,
      plugins: [...options.plugins, undriven],
      entryPoints: { 'dashboard/index': 'functions/dashboard.ts' },
      splitting: true,
      chunkNames: 'dashboard/chunks/[name]-[hash]',
    }),
  ])
  for (const folder of [...names, ...Object.keys(alone), 'dashboard', 'dashboard/chunks', 'chunks']) {
    await rm(join(outdir, folder), { recursive: true, force: true })
    await mkdir(join(outdir, folder), { recursive: true })
  }
  // Bundles are ES modules wherever the folder is put.
  await writeFile(join(outdir, 'package.json'), '{"type":"module"}\n')
  await Promise.all(
    built
      .flatMap(({ outputFiles }) => outputFiles)
      .map(({ path, contents }) => {
        const inside = relative(join(import.meta.dirname, 'dist/functions'), path)
        return writeFile(join(outdir, inside), contents)
      }),
  )
  // What plugins make up has a namespace in its name.
  const inputs = built
    .flatMap(({ metafile }) => Object.keys(metafile.inputs))
    .filter((path) => !path.includes(':'))
  return [...new Set([...inputs, ...names.map((name) => `functions/${name}.ts`)])].sort()
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { verify: { type: 'boolean', default: false } },
  })
  const [folder = join(import.meta.dirname, 'dist/functions')] = positionals
  await buildFunctions(folder, values.verify ? { verify: 'e2e/verify.ts' } : {})
}
