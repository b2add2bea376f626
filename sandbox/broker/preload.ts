import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * @returns pod.ts as a `data:` URL for Node's `--import`. Compiled, because stripping its types anew would add 40 ms
 *   to every cold start; a URL, because then there is no file to keep in step or to remove
 */
export async function preload(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'pod.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    minify: true,
    keepNames: true,
    write: false,
    logLevel: 'error',
  })
  const code = outputFiles.map((file) => Buffer.from(file.contents).toString('base64')).join('')
  return `data:text/javascript;base64,${code}`
}
