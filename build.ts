/**
 * Bundles the functions: `dist/functions/<name>/index.js` each. What several of them need is in `chunks/` once, by which
 * functions need it, so that none loads what it does not use; what is imported lazily (drivers, telemetry) is read
 * only when used.
 *
 * Usage: `node build.ts [folder]`
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { build } from 'esbuild'
import { routes } from './shared/routes.ts'

/**
 * Builds all functions of the route map. The same sources give the same bytes.
 *
 * @param outdir receives the bundles; earlier ones in it are removed
 * @throws when a source does not compile; the message names file and line
 */
export async function buildFunctions(outdir: string): Promise<void> {
  const names = routes.map((route) => route.function)
  const { outputFiles } = await build({
    absWorkingDir: import.meta.dirname,
    entryPoints: Object.fromEntries(names.map((name) => [`${name}/index`, `functions/${name}.ts`])),
    // Names of chunks follow from their source maps too, which tell the way to the sources: it is that from here,
    // wherever the bundles are written.
    outdir: 'dist/functions',
    write: false,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node22',
    minify: true,
    // Class names appear in logs and error messages.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'error',
    // Some dependencies are CommonJS and require Node's own modules.
    banner: {
      js: "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);",
    },
    // pg takes this faster driver if it is there; it is not.
    external: ['pg-native'],
  })
  for (const folder of [...names, 'chunks']) {
    await rm(join(outdir, folder), { recursive: true, force: true })
    await mkdir(join(outdir, folder), { recursive: true })
  }
  // Bundles are ES modules wherever the folder is put.
  await writeFile(join(outdir, 'package.json'), '{"type":"module"}\n')
  await Promise.all(
    outputFiles.map(({ path, contents }) => {
      const inside = relative(join(import.meta.dirname, 'dist/functions'), path)
      return writeFile(join(outdir, inside), contents)
    }),
  )
}

if (process.argv[1] === import.meta.filename)
  await buildFunctions(process.argv[2] ?? join(import.meta.dirname, 'dist/functions'))
