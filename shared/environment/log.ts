/** JSON lines on stdout. JSON escapes control characters, so nothing that a caller sends can begin a line. */
import { type LogLevel, logLevels } from './config.ts'

export type Fields = { readonly [name: string]: unknown }

let threshold: LogLevel = 'info'

/** @param level the least important level that is written from now on */
export function setLogLevel(level: LogLevel): void {
  threshold = level
}

/**
 * Writes one line.
 *
 * @param fields more members of the line; never headers, bodies, secrets or values of queries. undefined ones are
 *   left out
 */
export function log(level: LogLevel, message: string, fields: Fields = {}): void {
  if (logLevels.indexOf(level) > logLevels.indexOf(threshold)) return
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`)
}

/**
 * What a log may tell of an unexpected error. The message of a SyntaxError is left out: JSON.parse quotes in it what
 * it read, and that may have been a Secret.
 *
 * @returns name, code, message and stack frames of the error and of what caused it, cut to a sensible length
 */
export function errorFields(error: unknown, depth = 3): Fields {
  if (!(error instanceof Error)) return { name: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    name: error.name,
    code,
    message: error instanceof SyntaxError ? undefined : error.message.slice(0, 1000),
    frames: error.stack
      ?.split('\n')
      .filter((line) => line.startsWith('    at '))
      .slice(0, 10)
      .map((line) => line.trim()),
    cause: error.cause === undefined || depth === 0 ? undefined : errorFields(error.cause, depth - 1),
  }
}
