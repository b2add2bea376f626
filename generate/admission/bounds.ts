/** What is said of values by where they stand, whoever wrote them: names of others, and what gives a pod power. Pure. */
import * as v from 'valibot'
import { Json } from '../../shared/values/json.ts'
import { isList, isMembers, type Shape } from './shape.ts'
import { own, ownStart } from './table.ts'

/** A GUID of a platform, or the hash of another id. */
export const databaseName = 'osb-([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z2-7]{26})'

/** The first that fits the path is what holds. */
const bounds: readonly [path: RegExp, shape: Shape | ((value: Json) => Shape)][] = [
  [/(^|\.)configuration\.(inline|applyConfig)\.[^[]+$/, 'settings'],
  [/(^|\.)configuration\.\w+\.applyConfig\.[^[]+$/, 'settings'],
  [/(^|\.)authSecret\.name$/, 'own Secret'],
  [/(^|\.)auth\.secretRef\.name$/, { '~': [`${own}-users-[0-9a-f]{8}`] }],
  // KubeDB cuts names that would be longer than 63 characters.
  [
    /(^|\.)internalUsers\.remote_monitoring_user\.secretName$/,
    { '~': [`(${own}|${ownStart})-remote-monitoring-user-cred`] },
  ],
  [/(^|\.)secretName$/, 'own Secret'],
  [/(^|\.)serviceAccountName$/, 'own name'],
  [/(^|\.)databaseRef\.name$/, { '~': [databaseName] }],
  [/(^|\.)issuerRef\.apiGroup$/, { '=': ['cert-manager.io'] }],
  [/(^|\.)issuerRef\.kind$/, { '=': ['ClusterIssuer', 'Issuer'] }],
  [/(^|\.)serviceTemplates\[\]\.alias$/, { '=': ['primary'] }],
  [/(^|\.)serviceTemplates\[\]\.spec\.type$/, { '=': ['LoadBalancer', 'NodePort'] }],
  [/(^|\.)securityContext\.runAsUser$/, 'not root'],
  // Images of MongoDB that Percona makes have root's group, whose files they may read, with a user that is not root.
  [/(^|\.)securityContext\.(runAsGroup|fsGroup)$/, { '~': ['[0-9]+'] }],
  [/(^|\.)oldPVReclaimPolicy$/, { '=': ['Delete'] }],
  [/(^|\.)exec\.command$/, (value) => ({ '=': [value, ...ofOlderServers(value)] })],
  // Of these only what was seen.
  [
    new RegExp(
      `(^|\\.)(${[
        'authSecret\\.(apiGroup|kind)',
        'namespaces\\.from',
        'podPlacementPolicy\\.name',
        'securityContext\\.(allowPrivilegeEscalation|runAsNonRoot)',
        'seccompProfile\\.type',
        'capabilities\\.\\w+\\[\\]',
        '(liveness|readiness)Probe\\.\\w+(Threshold|Seconds)',
        'env\\[\\]\\.name',
        'kernelSettings\\.(privileged|disableDefaults)',
        'sysctls\\[\\]\\.\\w+',
        'verticalScaling\\.mode',
      ].join('|')})$`,
    ),
    (value) => ({ '=': [value] }),
  ],
  [/^(type|apply)$/, (value) => ({ '=': [value] })],
]

/** In MongoDB 5 and before, KubeDB's probes ask by another shell. */
function ofOlderServers(command: Json): Json[] {
  const older = JSON.stringify(command).replaceAll(/\bmongosh\b/g, 'mongo')
  return older === JSON.stringify(command) ? [] : [v.parse(Json, JSON.parse(older))]
}

/** @returns what is said of a value at this place; undefined where nothing is */
export function bound(path: string, value: Json): Shape | undefined {
  const found = bounds.find(([where]) => where.test(path))
  if (!found) return undefined
  const [, shape] = found
  return typeof shape === 'function' ? shape(value) : shape
}

/** Where pods run, and who goes first: what plans of any catalog may say in a pod's template besides. */
const places = [
  'affinity',
  'nodeSelector',
  'priorityClassName',
  'terminationGracePeriodSeconds',
  'tolerations',
  'topologySpreadConstraints',
]

/** @returns the shape with nothing but that, in every pod's template that a shape has */
export function placement(shape: Shape): Shape {
  if (!isMembers(shape)) return {}
  return Object.fromEntries(
    Object.entries(shape).flatMap(([key, inner]): [string, Shape][] => {
      if (key === 'podTemplate')
        return [[key, { spec: Object.fromEntries(places.map((place) => [place, 'any'] as const)) }]]
      const below = isList(inner) ? {} : placement(inner)
      return isMembers(below) && Object.keys(below).length > 0 ? [[key, below]] : []
    }),
  )
}
