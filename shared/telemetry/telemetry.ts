/** OpenTelemetry, loaded only where the environment asks for it: its import costs more than the rest of a cold start. */
import { log } from '../environment/log.ts'
import type { Attributes, Note, Telemetry } from './traced.ts'

let telemetry: Telemetry | undefined

/**
 * Starts telemetry if a standard OTEL_* variable names an exporter or an endpoint, and OTEL_SDK_DISABLED is not true.
 * OTLP goes over HTTP; the library for gRPC is larger than the broker and not part of a bundle.
 *
 * @param name service.name, unless OTEL_SERVICE_NAME or Knative (K_SERVICE) gives one
 */
export async function startTelemetry(env: NodeJS.ProcessEnv, name: string): Promise<void> {
  if (!wanted(env)) return
  const protocol = Object.entries(env).find(
    ([name, value]) => /^OTEL_EXPORTER_OTLP_\w*PROTOCOL$/.test(name) && value?.trim() === 'grpc',
  )
  if (protocol !== undefined) {
    log('warn', `${protocol[0]} is grpc, so telemetry stays off: must be http/protobuf or http/json`)
    return
  }
  const { startSdk } = await import('./sdk.ts')
  telemetry = startSdk(env, name)
}

/**
 * Sends what has not been sent yet, but takes no longer than it is given: a collector that is down must not keep a
 * function alive.
 *
 * @param patience milliseconds
 * @throws what the exporter threw
 */
export async function stopTelemetry(patience: number): Promise<void> {
  const running = telemetry
  telemetry = undefined
  if (running === undefined) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patience)
  })
  try {
    await Promise.race([running.stop(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** @returns the running telemetry; undefined where none was asked for */
export function current(): Telemetry | undefined {
  return telemetry
}

const ignore: Note = () => {}

/**
 * Times a piece of work, such as a call of the API server or of an engine, as a child of the request's span. Without
 * telemetry it just does the work.
 *
 * @param name what is done, without ids
 * @param attributes by OpenTelemetry's semantic conventions; never a secret
 * @param work may note more attributes; what it throws is thrown on, of which only the class is noted
 */
export function span<T>(name: string, attributes: Attributes, work: (note: Note) => Promise<T>): Promise<T> {
  return telemetry === undefined ? work(ignore) : telemetry.span(name, attributes, work)
}

function wanted(env: NodeJS.ProcessEnv): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return false
  return Object.entries(env).some(
    ([name, value]) =>
      value !== undefined &&
      value !== '' &&
      (/^OTEL_EXPORTER_\w*ENDPOINT$/.test(name) ||
        (/^OTEL_(TRACES|METRICS)_EXPORTER$/.test(name) && value !== 'none')),
  )
}
