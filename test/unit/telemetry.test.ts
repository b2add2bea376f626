import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { current, span, startTelemetry, stopTelemetry } from '../../shared/telemetry/telemetry.ts'
import type { Note } from '../../shared/telemetry/traced.ts'
import { headers, start } from './function-process.ts'

/** What the assertions look at of OTLP in JSON. */
const Attributes = v.pipe(
  v.array(
    v.object({
      key: v.string(),
      value: v.pipe(
        v.record(v.string(), v.unknown()),
        v.transform((value) => Object.values(value)[0]),
      ),
    }),
  ),
  v.transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, value]))),
)
const Points = v.object({
  dataPoints: v.array(v.object({ attributes: Attributes, count: v.optional(v.unknown()) })),
})
const Export = v.object({
  resourceSpans: v.optional(
    v.array(
      v.object({
        resource: v.object({ attributes: Attributes }),
        scopeSpans: v.array(
          v.object({
            spans: v.array(
              v.object({
                name: v.string(),
                traceId: v.string(),
                spanId: v.string(),
                parentSpanId: v.optional(v.string()),
                attributes: Attributes,
                status: v.object({ code: v.optional(v.number()) }),
              }),
            ),
          }),
        ),
      }),
    ),
    [],
  ),
  resourceMetrics: v.optional(
    v.array(
      v.object({
        scopeMetrics: v.array(
          v.object({
            metrics: v.array(
              v.object({
                name: v.string(),
                unit: v.string(),
                histogram: v.optional(Points),
                sum: v.optional(Points),
              }),
            ),
          }),
        ),
      }),
    ),
    [],
  ),
})

/** An OpenTelemetry collector that keeps what it is sent. */
async function collector(t: ExecutionContext): Promise<{ url: string; received: string[] }> {
  const received: string[] = []
  const server = createServer(async (incoming, outgoing) => {
    received.push(await text(incoming))
    outgoing.setHeader('Content-Type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, received }
}

const handler = `async (c) => {
  await span('GET AppBinding', { 'server.address': 'api' }, async (note) => note({ 'http.response.status_code': 200 }))
  if (c.var.instanceId === 'bad') throw new Error('hunter2')
  return c.json({}, 201)
}`

test('a collector receives the trace and the metrics of a served function by the time it has ended', async (t) => {
  const { url, received } = await collector(t)
  const process = await start(
    t,
    { handler },
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      K_SERVICE: 'osb-provision',
      K_REVISION: 'osb-provision-00001',
    },
  )
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const put = (id: string) =>
    fetch(`${process.url}/v2/service_instances/${id}?secret=hunter2`, {
      method: 'PUT',
      headers: { ...headers, traceparent },
    })
  t.is((await put('a')).status, 201)
  t.is((await put('bad')).status, 500)
  process.child.kill()
  t.is(await process.ended, 0)

  const exports = received.map((body) => v.parse(Export, JSON.parse(body)))
  const traces = exports.flatMap(({ resourceSpans }) => resourceSpans)
  t.like(traces[0]?.resource.attributes, {
    'service.name': 'osb-provision',
    'deployment.environment.name': 'test',
  })
  const spans = traces.flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans)
  const route = 'PUT /v2/service_instances/:instance_id'
  t.deepEqual(spans.map(({ name }) => name).sort(), ['GET AppBinding', 'GET AppBinding', route, route])
  t.true(spans.every(({ traceId }) => traceId === '0af7651916cd43dd8448eb211c80319c'))
  const [good, bad] = spans.filter(({ name }) => name === route)
  t.is(good?.parentSpanId, 'b7ad6b7169203331')
  t.deepEqual(good?.attributes, {
    'http.request.method': 'PUT',
    'http.route': '/v2/service_instances/:instance_id',
    'url.scheme': 'http',
    'url.path': '/v2/service_instances/a',
    'faas.name': 'provision',
    'faas.version': 'osb-provision-00001',
    'http.response.status_code': 201,
  })
  t.is(bad?.attributes['error.type'], 'Error')
  t.is(bad?.status.code, 2)
  const call = spans.find(
    ({ name, parentSpanId }) => name === 'GET AppBinding' && parentSpanId === good?.spanId,
  )
  t.deepEqual(call?.attributes, { 'server.address': 'api', 'http.response.status_code': 200 })

  const metrics = exports
    .flatMap(({ resourceMetrics }) => resourceMetrics)
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ metrics }) => metrics)
  const duration = metrics.find(({ name }) => name === 'http.server.request.duration')
  t.is(duration?.unit, 's')
  t.deepEqual(
    duration?.histogram?.dataPoints.map(({ count }) => Number(count)),
    [1, 1],
  )
  t.deepEqual(
    metrics.find(({ name }) => name === 'osb.requests')?.sum?.dataPoints.map(({ attributes }) => attributes),
    [
      { 'faas.name': 'provision', 'http.response.status_code': 201 },
      { 'faas.name': 'provision', 'http.response.status_code': 500 },
    ],
  )
  t.false(received.join('').includes('hunter2'))
})

test('a collector that is down delays the end of a function by seconds at most', async (t) => {
  const process = await start(t, { handler }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })
  t.is((await fetch(`${process.url}/v2/service_instances/a`, { method: 'PUT', headers })).status, 201)
  const asked = performance.now()
  process.child.kill()
  t.is(await process.ended, 0)
  t.true(performance.now() - asked < 5000)
  t.true(process.lines.every((line) => JSON.parse(line)))
})

for (const [title, env] of [
  ['nothing asks for it', {}],
  ['it is disabled', { OTEL_SDK_DISABLED: 'TRUE', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }],
  ['the exporters are none', { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }],
  [
    'it would have to go over gRPC',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
  ],
  ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_SERVICE_NAME: 'x' }],
] as const) {
  test.serial(`telemetry stays off when ${title}`, async (t) => {
    await startTelemetry(env, 'name')
    t.is(current(), undefined)
    const work = async (note: Note) => {
      note({ a: 1 })
      return 'done'
    }
    t.is(await span('x', {}, work), 'done')
    await stopTelemetry(0)
  })
}
