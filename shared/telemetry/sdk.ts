import {
  context,
  metrics,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'
import { NodeSDK } from '@opentelemetry/sdk-node'
import type { Attributes, Note, Telemetry, TracedRequest } from './traced.ts'

const scope = 'kubedb-service-broker'
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

const headers: TextMapGetter<TracedRequest> = {
  get: (request, name) => request.header(name),
  // Only propagators that look for keys by prefix ask; W3C's and B3's know what their headers are called.
  keys: () => [],
}

/** Starts OpenTelemetry's SDK, which configures itself by the OTEL_* variables, and gives what the broker needs of it. */
export function startSdk(env: NodeJS.ProcessEnv, name: string): Telemetry {
  const sdk = new NodeSDK({
    serviceName: env.OTEL_SERVICE_NAME || env.K_SERVICE || name,
    // Log lines go to stdout only.
    logRecordProcessors: [],
  })
  sdk.start()
  const tracer = trace.getTracer(scope)
  const meter = metrics.getMeter(scope)
  const duration = meter.createHistogram('http.server.request.duration', {
    description: 'Duration of HTTP server requests.',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] },
  })
  const count = meter.createCounter('osb.requests', {
    description: 'Requests by function and status.',
    unit: '{request}',
  })

  return {
    span(name, attributes, work) {
      return tracer.startActiveSpan(name, { kind: SpanKind.CLIENT, attributes: { ...attributes } }, (span) =>
        during(span, () => work(note(span))),
      )
    },

    async request(request, work) {
      const started = performance.now()
      const method = knownMethods.has(request.method) ? request.method : '_OTHER'
      const attributes = { 'http.request.method': method, 'http.route': request.route, 'url.scheme': 'http' }
      const spanAttributes = {
        ...attributes,
        'url.path': request.path,
        'faas.name': request.function,
        ...(env.K_REVISION ? { 'faas.version': env.K_REVISION } : {}),
      }
      const parent = propagation.extract(context.active(), request, headers)
      const options = { kind: SpanKind.SERVER, attributes: spanAttributes }
      await tracer.startActiveSpan(`${method} ${request.route}`, options, parent, (span) =>
        during(span, async () => {
          const { status, error } = await work()
          const failed = status >= 500 ? { 'error.type': error ?? String(status) } : {}
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
          span.setAttributes({ 'http.response.status_code': status, ...failed })
          const seconds = (performance.now() - started) / 1000
          duration.record(seconds, { ...attributes, 'http.response.status_code': status, ...failed })
          count.add(1, { 'faas.name': request.function, 'http.response.status_code': status })
        }),
      )
    },

    stop: () => sdk.shutdown(),
  }
}

function note(span: Span): Note {
  return (attributes: Attributes) => {
    span.setAttributes({ ...attributes })
  }
}

/** Ends the span with the work. Of an error only the class is noted: a message might hold what a caller sent. */
async function during<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR })
    span.setAttribute('error.type', error instanceof Error ? error.name : typeof error)
    throw error
  } finally {
    span.end()
  }
}
