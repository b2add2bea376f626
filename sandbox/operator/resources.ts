import * as v from 'valibot'
import type { Resource } from './kube.ts'

/** The resources the operator reads and writes, and the parts of them that it looks at. */
export const resources = {
  postgreses: { api: 'apis/kubedb.com/v1', plural: 'postgreses' },
  postgresOpsRequests: { api: 'apis/ops.kubedb.com/v1alpha1', plural: 'postgresopsrequests' },
  postgresVersions: { api: 'apis/catalog.kubedb.com/v1alpha1', plural: 'postgresversions' },
  appBindings: { api: 'apis/appcatalog.appscode.com/v1alpha1', plural: 'appbindings' },
  services: { api: 'api/v1', plural: 'services' },
  secrets: { api: 'api/v1', plural: 'secrets' },
  serviceAccounts: { api: 'api/v1', plural: 'serviceaccounts' },
  configMaps: { api: 'api/v1', plural: 'configmaps' },
  pods: { api: 'api/v1', plural: 'pods' },
  claims: { api: 'api/v1', plural: 'persistentvolumeclaims' },
  events: { api: 'api/v1', plural: 'events' },
  storageClasses: { api: 'apis/storage.k8s.io/v1', plural: 'storageclasses' },
  mutatingWebhooks: {
    api: 'apis/admissionregistration.k8s.io/v1',
    plural: 'mutatingwebhookconfigurations',
  },
  validatingWebhooks: {
    api: 'apis/admissionregistration.k8s.io/v1',
    plural: 'validatingwebhookconfigurations',
  },
} satisfies Record<string, Resource>

const words = v.record(v.string(), v.string())

const OwnerReference = v.looseObject({
  apiVersion: v.string(),
  kind: v.string(),
  name: v.string(),
  uid: v.string(),
})
export type OwnerReference = v.InferOutput<typeof OwnerReference>

const metadata = {
  name: v.string(),
  uid: v.optional(v.string(), ''),
  generation: v.optional(v.number(), 0),
  creationTimestamp: v.exactOptional(v.nullable(v.string())),
  deletionTimestamp: v.exactOptional(v.string()),
  finalizers: v.optional(v.array(v.string()), []),
  labels: v.optional(words, {}),
  annotations: v.optional(words, {}),
  ownerReferences: v.optional(v.array(OwnerReference), []),
}
const Metadata = v.looseObject(metadata)
const NamespacedMetadata = v.looseObject({ ...metadata, namespace: v.string() })

/** Anything in a namespace of which only the metadata matters. */
export const Named = v.looseObject({ metadata: NamespacedMetadata })
/** Anything at all of which only the metadata matters. */
export const Unscoped = v.looseObject({ metadata: Metadata })

export const Condition = v.looseObject({
  type: v.string(),
  status: v.picklist(['True', 'False', 'Unknown']),
  reason: v.optional(v.string(), ''),
  message: v.optional(v.string(), ''),
  observedGeneration: v.exactOptional(v.number()),
  lastTransitionTime: v.optional(v.string(), ''),
})
export type Condition = v.InferOutput<typeof Condition>

const quantities = v.record(v.string(), v.union([v.string(), v.number()]))
export const Resources = v.looseObject({
  requests: v.exactOptional(quantities),
  limits: v.exactOptional(quantities),
})
export type Resources = v.InferOutput<typeof Resources>

const Container = v.looseObject({
  name: v.string(),
  resources: v.exactOptional(Resources),
  env: v.exactOptional(v.array(v.looseObject({ name: v.string() }))),
  volumeMounts: v.exactOptional(v.array(v.looseObject({ mountPath: v.string() }))),
  securityContext: v.exactOptional(v.looseObject({})),
})
export type Container = v.InferOutput<typeof Container>

const PodTemplate = v.looseObject({
  spec: v.exactOptional(
    v.looseObject({
      serviceAccountName: v.exactOptional(v.string()),
      containers: v.exactOptional(v.array(Container)),
      initContainers: v.exactOptional(v.array(Container)),
      volumes: v.exactOptional(v.array(v.looseObject({ name: v.string() }))),
      securityContext: v.exactOptional(v.looseObject({})),
    }),
  ),
})

const Storage = v.looseObject({
  storageClassName: v.exactOptional(v.string()),
  resources: v.exactOptional(Resources),
})

const ServiceTemplate = v.looseObject({
  alias: v.string(),
  metadata: v.exactOptional(
    v.looseObject({ annotations: v.exactOptional(words), labels: v.exactOptional(words) }),
  ),
  spec: v.exactOptional(
    v.looseObject({
      type: v.exactOptional(v.string()),
      ports: v.exactOptional(
        v.array(
          v.looseObject({
            name: v.exactOptional(v.string()),
            port: v.number(),
            nodePort: v.exactOptional(v.number()),
          }),
        ),
      ),
    }),
  ),
})

const configuration = v.looseObject({
  secretName: v.exactOptional(v.string()),
  inline: v.exactOptional(words),
})

export const DeletionPolicy = v.picklist(['Halt', 'Delete', 'WipeOut', 'DoNotTerminate'])

const PostgresSpec = v.looseObject({
  version: v.optional(v.string(), ''),
  replicas: v.exactOptional(v.number()),
  storageType: v.exactOptional(v.string()),
  storage: v.exactOptional(Storage),
  podTemplate: v.exactOptional(PodTemplate),
  standbyMode: v.exactOptional(v.string()),
  streamingMode: v.exactOptional(v.string()),
  sslMode: v.exactOptional(v.string()),
  clientAuthMode: v.exactOptional(v.string()),
  tls: v.exactOptional(v.looseObject({})),
  authSecret: v.exactOptional(
    v.looseObject({
      name: v.exactOptional(v.string()),
      kind: v.exactOptional(v.string()),
      externallyManaged: v.exactOptional(v.boolean()),
      activeFrom: v.exactOptional(v.string()),
    }),
  ),
  configSecret: v.exactOptional(v.looseObject({ name: v.exactOptional(v.string()) })),
  configuration: v.exactOptional(configuration),
  deletionPolicy: v.exactOptional(DeletionPolicy),
  halted: v.exactOptional(v.boolean()),
  healthChecker: v.exactOptional(
    v.looseObject({
      periodSeconds: v.exactOptional(v.number()),
      timeoutSeconds: v.exactOptional(v.number()),
      failureThreshold: v.exactOptional(v.number()),
    }),
  ),
  leaderElection: v.exactOptional(
    v.looseObject({ electionTick: v.exactOptional(v.number()), heartbeatTick: v.exactOptional(v.number()) }),
  ),
  arbiter: v.exactOptional(v.looseObject({ resources: v.exactOptional(Resources) })),
  readReplicas: v.exactOptional(v.array(v.looseObject({ name: v.exactOptional(v.string()) }))),
  serviceTemplates: v.exactOptional(v.array(ServiceTemplate)),
  init: v.exactOptional(v.looseObject({ initialized: v.exactOptional(v.boolean()) })),
  monitor: v.exactOptional(
    v.looseObject({
      agent: v.exactOptional(v.string()),
      prometheus: v.exactOptional(
        v.looseObject({ exporter: v.exactOptional(v.looseObject({ port: v.exactOptional(v.number()) })) }),
      ),
    }),
  ),
})
export type PostgresSpec = v.InferOutput<typeof PostgresSpec>

export const Postgres = v.looseObject({
  metadata: NamespacedMetadata,
  spec: PostgresSpec,
  status: v.optional(
    v.looseObject({
      phase: v.optional(v.string(), ''),
      observedGeneration: v.optional(v.number(), 0),
      conditions: v.optional(v.array(Condition), []),
    }),
    {},
  ),
})
export type Postgres = v.InferOutput<typeof Postgres>

/** A quantity may be written as a number in YAML. */
const Quantity = v.union([v.string(), v.number()])
const PodResources = v.looseObject({ resources: v.exactOptional(Resources) })

export const PostgresOpsRequest = v.looseObject({
  metadata: NamespacedMetadata,
  spec: v.looseObject({
    type: v.string(),
    databaseRef: v.looseObject({ name: v.optional(v.string(), '') }),
    timeout: v.exactOptional(v.string()),
    apply: v.optional(v.string(), 'IfReady'),
    updateVersion: v.exactOptional(v.looseObject({ targetVersion: v.optional(v.string(), '') })),
    horizontalScaling: v.exactOptional(
      v.looseObject({
        replicas: v.exactOptional(v.number()),
        standbyMode: v.exactOptional(v.string()),
        streamingMode: v.exactOptional(v.string()),
        readReplicas: v.exactOptional(v.array(v.looseObject({ replicas: v.exactOptional(v.number()) }))),
      }),
    ),
    verticalScaling: v.exactOptional(
      v.looseObject({
        postgres: v.exactOptional(PodResources),
        coordinator: v.exactOptional(PodResources),
        arbiter: v.exactOptional(PodResources),
        readReplicas: v.exactOptional(v.array(v.looseObject({ name: v.optional(v.string(), '') }))),
        mode: v.exactOptional(v.string()),
      }),
    ),
    volumeExpansion: v.exactOptional(
      v.looseObject({
        mode: v.exactOptional(v.string()),
        postgres: v.exactOptional(Quantity),
        arbiter: v.exactOptional(Quantity),
      }),
    ),
    configuration: v.exactOptional(
      v.looseObject({
        configSecret: v.exactOptional(v.looseObject({ name: v.string() })),
        applyConfig: v.exactOptional(words),
        removeCustomConfig: v.exactOptional(v.boolean()),
        restart: v.optional(v.picklist(['auto', 'true', 'false']), 'auto'),
        tuning: v.exactOptional(v.looseObject({})),
      }),
    ),
    tls: v.exactOptional(v.looseObject({})),
    authentication: v.exactOptional(
      v.looseObject({ secretRef: v.exactOptional(v.looseObject({ name: v.optional(v.string(), '') })) }),
    ),
    migration: v.exactOptional(v.looseObject({ storageClassName: v.exactOptional(v.string()) })),
  }),
  status: v.optional(
    v.looseObject({
      phase: v.optional(v.string(), ''),
      conditions: v.optional(v.array(Condition), []),
    }),
    {},
  ),
})
export type PostgresOpsRequest = v.InferOutput<typeof PostgresOpsRequest>

export const PostgresVersion = v.looseObject({
  metadata: Metadata,
  spec: v.looseObject({
    version: v.string(),
    distribution: v.exactOptional(v.string()),
    db: v.exactOptional(
      v.looseObject({ image: v.exactOptional(v.string()), baseOS: v.exactOptional(v.string()) }),
    ),
    securityContext: v.exactOptional(v.looseObject({ runAsUser: v.exactOptional(v.number()) })),
    updateConstraints: v.exactOptional(
      v.looseObject({
        allowlist: v.exactOptional(v.array(v.string())),
        denylist: v.exactOptional(v.array(v.string())),
      }),
    ),
  }),
})
export type PostgresVersion = v.InferOutput<typeof PostgresVersion>

const base64 = v.pipe(
  v.string(),
  v.transform((text) => Buffer.from(text, 'base64').toString('utf8')),
)

/** A Secret with its data decoded. */
export const Secret = v.looseObject({
  metadata: NamespacedMetadata,
  data: v.optional(v.nullable(v.record(v.string(), base64)), {}),
})
export type Secret = v.InferOutput<typeof Secret>

export const ConfigMap = v.looseObject({
  metadata: NamespacedMetadata,
  data: v.optional(v.nullable(words), {}),
})

export const Service = v.looseObject({
  metadata: NamespacedMetadata,
  spec: v.looseObject({
    type: v.optional(v.string(), 'ClusterIP'),
    selector: v.optional(words, {}),
    ports: v.optional(
      v.array(
        v.looseObject({
          name: v.optional(v.string(), ''),
          port: v.number(),
          targetPort: v.exactOptional(v.union([v.string(), v.number()])),
          nodePort: v.exactOptional(v.number()),
        }),
      ),
      [],
    ),
  }),
  status: v.optional(
    v.looseObject({
      loadBalancer: v.optional(
        v.looseObject({
          ingress: v.optional(v.array(v.looseObject({ ip: v.exactOptional(v.string()) })), []),
        }),
        {},
      ),
    }),
    {},
  ),
})
export type Service = v.InferOutput<typeof Service>

export const Claim = v.looseObject({
  metadata: NamespacedMetadata,
  spec: v.looseObject({ resources: v.optional(Resources, {}) }),
  status: v.optional(v.looseObject({ phase: v.optional(v.string(), 'Pending') }), {}),
})
