/** The cluster in KUBECONFIG, through kubectl: what installs the broker is what its users would type. */
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import * as v from 'valibot'

const [program = 'kubectl', ...prefix] = (process.env.KUBECTL ?? 'kubectl').split(' ')
// Skaffold may have been told another cluster than the current one.
if (process.env.SKAFFOLD_KUBE_CONTEXT) prefix.push('--context', process.env.SKAFFOLD_KUBE_CONTEXT)

/**
 * @param input sent on standard input
 * @returns what it printed
 * @throws with what it printed as an error
 */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const child = spawn(program, [...prefix, ...args], {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new Error(`${program} cannot be run (${error.message}); KUBECTL names another`)),
    )
    child.once('close', (code) => resolve(code ?? 1))
  })
  // One that ends before it has read everything says why in its exit code.
  child.stdin?.on('error', () => undefined).end(input)
  const [code, out, error] = await Promise.all([ended, textOf(child.stdout), textOf(child.stderr)])
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${error.trim() || out.trim()}`)
  return out
}

function textOf(stream: Readable | null): Promise<string> {
  return stream ? text(stream) : Promise.resolve('')
}

/** Creates an object, or brings it up to date. */
export async function apply(object: object): Promise<void> {
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], JSON.stringify(object))
}

/** @returns an object or a list, checked */
export async function get<T>(schema: v.GenericSchema<unknown, T>, args: readonly string[]): Promise<T> {
  return v.parse(schema, JSON.parse(await kubectl(['get', ...args, '-o', 'json'])))
}

/** @returns whether the cluster serves an API, e.g. `serving.knative.dev/v1` */
export async function serves(api: string): Promise<boolean> {
  return (await kubectl(['api-versions'])).split('\n').includes(api)
}
