import { dashboardRoutes, type Route, reviews, routes } from '../shared/routes.ts'
import { pathPattern } from './path-pattern.ts'
import { platformRole } from './reviews.ts'
import { table } from './table.ts'

const introduction = `# The route map

One function serves one operation of Open Service Broker 2.17 and runs under a ServiceAccount \`osb-<function>\` of its
own. This page is generated from \`shared/routes.ts\` by \`npm run generate\`, as are the functions' guards, the gateways'
routes and the roles.
`

/** @returns docs/routes.md */
export function routesPage(): string {
  const operations = routes.map((route) => [
    route.operation,
    route.method,
    `\`${route.path}\``,
    `\`${route.function}\``,
  ])
  const patterns = [...new Set(routes.map((route) => route.path))].map((path) => {
    const { type, value } = pathPattern(path)
    return [`\`${path}\``, type, `\`${value}\``]
  })
  const permissions = routes.map((route) => [`\`${route.function}\``, permitted(route) || 'nothing'])
  return [
    introduction,
    table(['Operation', 'Method', 'Path', 'Function'], operations),
    '\n## How gateways match the paths\n',
    table(['Path', 'Match', 'Value'], patterns),
    '\n## What each function may do in the cluster\n',
    '`records` are the AppBindings in the namespace of the broker; `versions` are the *Version objects of KubeDB, which have no namespace; everything else is in the namespaces of databases.\n',
    table(['Function', 'Permissions'], permissions),
    '\n## The dashboard\n',
    'Where it is switched on ([dashboard](dashboard.md)), it has rows of its own:\n',
    table(
      ['Method', 'Path', 'Function'],
      dashboardRoutes.map((route) => [route.method, `\`${route.path}\``, `\`${route.function}\``]),
    ),
    `\n${dashboardRoutes
      .slice(0, 1)
      .map((route) => `\`${route.function}\` may: ${permitted(route)}.`)
      .join('')}`,
    '\n## Bearer tokens',
    `\nWhere bearer tokens are let in (\`AUTHENTICATION\`), every function may in the whole cluster: ${Object.entries(
      reviews,
    )
      .map(([target, verbs]) => `${target}: ${verbs.join(', ')}`)
      .join('; ')}. The owner of a token needs:\n`,
    table(
      ['nonResourceURL', 'Verbs'],
      platformRole().rules.map((rule) => [`\`${rule.nonResourceURLs?.join(', ')}\``, rule.verbs.join(', ')]),
    ),
    '',
  ].join('\n')
}

function permitted({ permissions }: Pick<Route, 'permissions'>): string {
  return Object.entries(permissions)
    .map(([target, verbs]) => `${target}: ${verbs.join(', ')}`)
    .join('; ')
}
