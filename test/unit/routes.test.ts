import test from 'ava'
import { pathPattern } from '../../generate/path-pattern.ts'
import { match } from '../../shared/gateway/match.ts'
import { type FunctionName, type Method, routes } from '../../shared/routes.ts'

/** How gateways apply one and the same expression (docs of Envoy, Istio; NGINX Gateway Fabric, Kong; Traefik). */
const semantics = {
  'whole path': (pattern: string) => new RegExp(`^(?:${pattern})$`),
  'anchored at its start': (pattern: string) => new RegExp(`^${pattern}`),
  'not anchored': (pattern: string) => new RegExp(pattern),
}

/** The functions that a gateway of these semantics sends the request to. */
function receivers(method: Method, path: string, compile: (pattern: string) => RegExp): FunctionName[] {
  return routes
    .filter((route) => route.method === method)
    .filter((route) => {
      const { type, value } = pathPattern(route.path)
      return type === 'Exact' ? path === value : compile(value).test(path)
    })
    .map((route) => route.function)
}

/** Paths as a gateway sees them, without a query → who serves GET, PUT, PATCH, DELETE there. */
const paths: [string, Partial<Record<Method, FunctionName>>][] = [
  ['/v2/catalog', { GET: 'catalog' }],
  ['/v2/service_instances/i', instance()],
  ['/v2/service_instances/i/last_operation', { GET: 'last-operation' }],
  ['/v2/service_instances/i/service_bindings/b', binding()],
  ['/v2/service_instances/i/service_bindings/b/last_operation', { GET: 'last-binding-operation' }],
  // Ids that look like something else.
  ['/v2/service_instances/last_operation', instance()],
  ['/v2/service_instances/catalog', instance()],
  ['/v2/service_instances/last_operation/last_operation', { GET: 'last-operation' }],
  ['/v2/service_instances/service_bindings/service_bindings/service_bindings', binding()],
  ['/v2/service_instances/i/service_bindings/last_operation', binding()],
  [
    '/v2/service_instances/i/service_bindings/last_operation/last_operation',
    { GET: 'last-binding-operation' },
  ],
  ['/v2/service_instances/v2', instance()],
  ['/v2/service_instances/..', instance()],
  ['/v2/service_instances/.', instance()],
  ['/v2/service_instances/a%2Fb', instance()],
  ['/v2/service_instances/a%2flast_operation', instance()],
  ['/v2/service_instances/%2e%2e', instance()],
  ['/v2/service_instances/a;b=c', instance()],
  ['/v2/service_instances/a%00', instance()],
  ['/v2/service_instances/a%0Ab', instance()],
  ['/v2/service_instances/$&', instance()],
  // Nearly right.
  ['/', {}],
  ['', {}],
  ['/v2', {}],
  ['/v2/', {}],
  ['/v2/catalog/', {}],
  ['/v2/Catalog', {}],
  ['/V2/catalog', {}],
  ['/v2/catalogs', {}],
  ['/v2/catalog%2F', {}],
  ['//v2/catalog', {}],
  ['/v2//catalog', {}],
  ['/v2/./catalog', {}],
  ['/v2/x/../catalog', {}],
  ['/v2/service_instances', {}],
  ['/v2/service_instances/', {}],
  ['/v2/service_instances//', {}],
  ['/v2/service_instances/i/', {}],
  ['/v2/service_instances//last_operation', {}],
  ['/v2/service_instances/i/last_operation/', {}],
  ['/v2/service_instances/i/last_operation/x', {}],
  ['/v2/service_instances/i//last_operation', {}],
  ['/v2/service_instances/i/service_bindings', {}],
  ['/v2/service_instances/i/service_bindings/', {}],
  ['/v2/service_instances//service_bindings/b', {}],
  ['/v2/service_instances/i/service_bindings//last_operation', {}],
  ['/v2/service_instances/i/service_bindings/b/', {}],
  ['/v2/service_instances/i/service_bindings/b/x', {}],
  ['/v2/service_instances/i/service_bindings/b/last_operation/', {}],
  ['/v2/service_instances/i/service_bindings/b/service_bindings/c', {}],
  ['/v3/service_instances/i', {}],
]

function instance(): Partial<Record<Method, FunctionName>> {
  return { GET: 'fetch-instance', PUT: 'provision', PATCH: 'update', DELETE: 'deprovision' }
}

function binding(): Partial<Record<Method, FunctionName>> {
  return { GET: 'fetch-binding', PUT: 'bind', DELETE: 'unbind' }
}

const methods = ['GET', 'PUT', 'PATCH', 'DELETE'] as const

for (const [path, expected] of paths) {
  test(`${path || 'an empty path'} is served by ${Object.values(expected).join(', ') || 'nobody'}`, (t) => {
    for (const method of methods) {
      const found = match(method, `${path}?operation=x/y`)
      t.is('to' in found ? found.to : undefined, expected[method], `the sandbox's gateway: ${method}`)
      for (const name of ['whole path', 'anchored at its start'] as const) {
        const hits = receivers(method, path, semantics[name])
        t.deepEqual(hits, expected[method] ? [expected[method]] : [], `${name}: ${method}`)
      }
    }
  })
}

test('another prefix reaches a function at most where gateways do not anchor; its guard refuses it', (t) => {
  const path = '/x/v2/service_instances/i'
  t.deepEqual(match('PUT', path), { unknown: true })
  t.deepEqual(receivers('PUT', path, semantics['anchored at its start']), [])
  t.deepEqual(receivers('PUT', path, semantics['not anchored']), ['provision'])
})

for (const [name, compile] of Object.entries(semantics)) {
  test(`no request matches two operations, in whatever order a gateway tries them: ${name}`, (t) => {
    const words = ['v2', 'catalog', 'service_instances', 'service_bindings', 'last_operation', 'x', '']
    const compiled = routes.map((route) => {
      const { type, value } = pathPattern(route.path)
      const matches =
        type === 'Exact' ? (path: string) => path === value : (path: string) => compile(value).test(path)
      return { route, matches }
    })
    let all = ['']
    for (let depth = 0; depth < 6; depth++) {
      all = all.flatMap((path) => words.map((word) => `${path}/${word}`))
      for (const path of all) {
        const hits = compiled.filter(({ matches }) => matches(path)).map(({ route }) => route.method)
        if (new Set(hits).size !== hits.length) return t.fail(`${path} matches ${hits.join(', ')}`)
      }
    }
    t.pass()
  })
}

test('expressions hold to what every gateway understands', (t) => {
  for (const route of routes) {
    const { type, value } = pathPattern(route.path)
    if (type === 'Exact') t.notRegex(value, /[^a-z0-9_/]/)
    else t.regex(value, /^(\/([a-z0-9_]+|\[\^\/\]\+))+\$$/)
    t.true(value.length <= 1024)
  }
})

test('operations, functions and pairs of method and path are unique', (t) => {
  for (const key of ['operation', 'function'] as const) {
    t.is(new Set(routes.map((route) => route[key])).size, routes.length, key)
  }
  t.is(new Set(routes.map((route) => `${route.method} ${route.path}`)).size, routes.length)
})

test('the dashboard is led to where there is one, and nowhere else', (t) => {
  const found = (method: string, path: string) => match(method, path, { dashboard: true })
  t.deepEqual(found('GET', '/dashboard/instances/i?x=/y'), { to: 'dashboard' })
  t.deepEqual(found('POST', '/dashboard/instances/i'), { to: 'dashboard' })
  t.deepEqual(found('PUT', '/dashboard/instances/i'), { allowed: ['GET', 'POST'] })
  t.deepEqual(found('GET', '/dashboard/callback?code=x'), { to: 'dashboard' })
  t.deepEqual(found('GET', '/v2/catalog'), { to: 'catalog' })
  for (const path of ['/dashboard', '/dashboard/', '/dashboard/instances/i/x', '/dashboard/instances/'])
    t.deepEqual(found('GET', path), { unknown: true }, path)
  t.deepEqual(match('GET', '/dashboard/instances/i'), { unknown: true })
})
