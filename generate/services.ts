/** The ten Knative Services, one for each function of the route map. */
import { type Mount, type Route, routes } from '../shared/routes.ts'
import type { Manifest } from './manifest.ts'
import { type Namespaces, nameOf } from './roles.ts'

export interface KnativeService extends Manifest {
  spec: { template: { metadata: { annotations: { [name: string]: string } }; spec: PodSpec } }
}

interface PodSpec {
  serviceAccountName: string
  automountServiceAccountToken?: false
  containerConcurrency: number
  timeoutSeconds: number
  enableServiceLinks: false
  containers: object[]
  volumes: object[]
}

/** What kustomize's `images` replaces. */
export const image = 'kubedb-service-broker'

/** Object and folder of everything that is mounted. The Secrets are made at installation and are in no repository. */
export const mounted = {
  users: { volume: { secret: { secretName: 'osb-users' } }, folder: '/etc/broker/users' },
  catalog: { volume: { configMap: { name: 'osb-catalog' } }, folder: '/etc/broker/catalog' },
  keys: { volume: { secret: { secretName: 'osb-keys' } }, folder: '/etc/broker/keys' },
  dashboard: { volume: { secret: { secretName: 'osb-dashboard' } }, folder: '/etc/broker/dashboard' },
} as const satisfies Record<Mount | 'users', object>

export const configurationName = 'osb-configuration'

/** Values of the owner of the broker; what they leave out has the defaults of docs/configuration.md. */
export const configuration = [{ configMapRef: { name: configurationName, optional: true } }]

/** Pod Security `restricted`. */
export const securityContext = {
  runAsNonRoot: true,
  runAsUser: 65532,
  readOnlyRootFilesystem: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
} as const

/** Copies of a function that run side by side at most, and requests that each works on. */
export const maxScale = 10
export const containerConcurrency = 50

/** Of each function. */
export const resources = { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '256Mi' } }

/** @returns the Services, reachable inside the cluster only: the route in front of them is the one public door */
export function knativeServices(namespaces: Namespaces, of: readonly Route[] = routes): KnativeService[] {
  return of.map((route) => ({
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: {
      name: nameOf(route),
      namespace: namespaces.broker,
      labels: {
        'app.kubernetes.io/part-of': 'kubedb-service-broker',
        'networking.knative.dev/visibility': 'cluster-local',
      },
    },
    spec: {
      template: {
        // A quiet function is gone a minute after its last request.
        metadata: { annotations: { 'autoscaling.knative.dev/max-scale': String(maxScale) } },
        spec: podSpec(route, namespaces),
      },
    },
  }))
}

function podSpec(route: Route, { broker, databases }: Namespaces): PodSpec {
  // People sign in to the dashboard elsewhere.
  const users = route.mounts.includes('dashboard') ? [] : ['users' as const]
  const needs = [...users, ...route.mounts]
  return {
    serviceAccountName: nameOf(route),
    ...(Object.keys(route.permissions).length === 0 && { automountServiceAccountToken: false }),
    containerConcurrency,
    // More than the 45 s within which every request ends, less than the 60 s that platforms wait.
    timeoutSeconds: 55,
    enableServiceLinks: false,
    containers: [
      {
        // What lines of `kubectl logs --prefix` and `skaffold dev` begin with.
        name: route.function,
        image,
        args: [route.function],
        envFrom: configuration,
        env: [
          { name: 'BROKER_NAMESPACE', value: broker },
          { name: 'DATABASE_NAMESPACE', value: databases },
        ],
        ports: [{ name: 'http1', containerPort: 8080 }],
        // Without periodSeconds Knative probes every 50 ms.
        readinessProbe: { httpGet: { path: '/health/readiness' } },
        resources,
        securityContext,
        volumeMounts: needs.map((name) => ({ name, mountPath: mounted[name].folder, readOnly: true })),
      },
    ],
    volumes: needs.map((name) => ({ name, ...mounted[name].volume })),
  }
}
