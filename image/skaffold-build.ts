/**
 * The build that skaffold.yaml names, for whoever runs it in place of Skaffold: `docker build --file … CONTEXT`.
 *
 * Usage: `node image/skaffold-build.ts` prints the arguments, one a line; what they name is relative to the checkout.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { parse } from 'yaml'

/** Strict: a setting that is not passed on here would build something else than Skaffold does. */
const Artifact = v.strictObject({
  image: v.string(),
  context: v.string(),
  docker: v.strictObject({
    dockerfile: v.string(),
    target: v.optional(v.string()),
    buildArgs: v.optional(v.record(v.string(), v.string()), {}),
  }),
})
const Build = v.object({ build: v.object({ artifacts: v.tuple([Artifact]) }) })

/**
 * @param skaffold content of skaffold.yaml
 * @returns arguments of `docker build` or `buildah build`, the context last
 * @throws {v.ValiError} when it has a setting that is not known here
 */
export function buildArguments(skaffold: unknown): string[] {
  const [{ context, docker }] = v.parse(Build, skaffold).build.artifacts
  return [
    ...['--file', join(context, docker.dockerfile)],
    ...(docker.target === undefined ? [] : ['--target', docker.target]),
    ...Object.entries(docker.buildArgs).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    context,
  ]
}

if (process.argv[1] === import.meta.filename) {
  const file = join(import.meta.dirname, '../skaffold.yaml')
  console.log(buildArguments(parse(readFileSync(file, 'utf8'))).join('\n'))
}
