/** Helm and kubectl themselves, built from Go modules: what people install the broker with. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { goProgram } from '../../sandbox/machine/go-program.ts'

const sources = join(import.meta.dirname, '../programs')

/** What a program printed, and its exit code. */
export interface Printed {
  code: number
  out: string
  error: string
}

/** Runs a program to its end, with arguments and perhaps an input. It never rejects because of an exit code. */
export type Program = (args: readonly string[], input?: string) => Promise<Printed>

/**
 * @param progress takes a line for people while it is built, which is only once
 * @returns the path of Helm
 */
export function helmFile(progress: (line: string) => void): Promise<string> {
  return built('helm', 'helm.sh/helm/v4/cmd/helm', progress)
}

/** @returns the same of kubectl, which has kustomize in it */
export function kubectlFile(progress: (line: string) => void): Promise<string> {
  return built('kubectl', './kubectl', progress)
}

function built(name: string, part: string, progress: (line: string) => void): Promise<string> {
  const announcement = `Building ${name} (from Go modules): some minutes, only once.`
  return goProgram({ name, sources, package: part, announcement, without: '.' }, progress)
}

/** @param environment of its runs, beside that of this process */
export function programAt(file: string, environment: NodeJS.ProcessEnv): Program {
  return function run(args, input) {
    return new Promise((resolve, reject) => {
      const child = execFile(
        file,
        args,
        { env: { ...process.env, ...environment }, timeout: 120_000, maxBuffer: 64 << 20 },
        (error, out, printed) => {
          if (error && typeof error.code !== 'number') return reject(error)
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, error: printed })
        },
      )
      // One that ends before it has read everything says why in its exit code.
      child.stdin?.on('error', () => undefined).end(input)
    })
  }
}
