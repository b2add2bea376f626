import * as v from 'valibot'
import type { Resource } from './kube.ts'

/**
 * The resources the operator reads and writes, and the parts of them that it looks at; those of a kind of database are
 * named by it.
 */
export const resources = {
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
/** A pod, as far as its status has to name its containers. */
export const Pod = v.looseObject({
  metadata: NamespacedMetadata,
  spec: v.looseObject({ containers: v.array(v.looseObject({ name: v.string() })) }),
})
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
  resizePolicy: v.exactOptional(v.array(v.looseObject({}))),
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

export const Configuration = v.looseObject({
  secretName: v.exactOptional(v.string()),
  inline: v.exactOptional(words),
})

export const DeletionPolicy = v.picklist(['Halt', 'Delete', 'WipeOut', 'DoNotTerminate'])

/** What a spec says about one set of pods: the whole spec, or one of its sections. */
const part = {
  replicas: v.exactOptional(v.number()),
  storage: v.exactOptional(Storage),
  podTemplate: v.exactOptional(PodTemplate),
  configSecret: v.exactOptional(v.looseObject({ name: v.exactOptional(v.string()) })),
  configuration: v.exactOptional(Configuration),
}
export const Part = v.looseObject(part)
export type Part = v.InferOutput<typeof Part>

const Certificate = v.looseObject({ alias: v.string(), secretName: v.exactOptional(v.string()) })
const tls = {
  issuerRef: v.exactOptional(v.looseObject({ name: v.optional(v.string(), '') })),
  certificates: v.exactOptional(v.array(Certificate)),
}

/** What the specs of all kinds have in common; a kind reads the rest of its own. */
export const Spec = v.looseObject({
  ...part,
  version: v.optional(v.string(), ''),
  storageType: v.exactOptional(v.string()),
  tls: v.exactOptional(v.looseObject(tls)),
  authSecret: v.exactOptional(
    v.looseObject({
      name: v.exactOptional(v.string()),
      kind: v.exactOptional(v.string()),
      externallyManaged: v.exactOptional(v.boolean()),
      activeFrom: v.exactOptional(v.string()),
    }),
  ),
  deletionPolicy: v.exactOptional(DeletionPolicy),
  halted: v.exactOptional(v.boolean()),
  healthChecker: v.exactOptional(
    v.looseObject({
      periodSeconds: v.exactOptional(v.number()),
      timeoutSeconds: v.exactOptional(v.number()),
      failureThreshold: v.exactOptional(v.number()),
    }),
  ),
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
export type Spec = v.InferOutput<typeof Spec>

/** A database of any kind. */
export const Database = v.looseObject({
  metadata: NamespacedMetadata,
  spec: Spec,
  status: v.optional(
    v.looseObject({
      phase: v.optional(v.string(), ''),
      observedGeneration: v.optional(v.number(), 0),
      conditions: v.optional(v.array(Condition), []),
    }),
    {},
  ),
})
export type Database = v.InferOutput<typeof Database>

/** A quantity may be written as a number in YAML. */
export const Quantity = v.union([v.string(), v.number()])

/** One part of `verticalScaling`. */
export const PodResources = v.looseObject({ resources: v.exactOptional(Resources) })

/** `configuration` of an OpsRequest, or its section for one part of the database. */
export const Reconfiguration = v.looseObject({
  configSecret: v.exactOptional(v.looseObject({ name: v.string() })),
  applyConfig: v.exactOptional(words),
  removeCustomConfig: v.exactOptional(v.boolean()),
  restart: v.optional(v.picklist(['auto', 'true', 'false']), 'auto'),
})
export type Reconfiguration = v.InferOutput<typeof Reconfiguration>

/** `migration` of an OpsRequest, or its section for one part of the database. */
export const Migration = v.looseObject({ storageClassName: v.exactOptional(v.string()) })

/** An OpsRequest for any kind. Blocks whose keys differ by kind are open here. */
export const OpsRequest = v.looseObject({
  metadata: NamespacedMetadata,
  spec: v.looseObject({
    type: v.string(),
    databaseRef: v.looseObject({ name: v.optional(v.string(), '') }),
    timeout: v.exactOptional(v.string()),
    apply: v.optional(v.string(), 'IfReady'),
    updateVersion: v.exactOptional(v.looseObject({ targetVersion: v.optional(v.string(), '') })),
    horizontalScaling: v.exactOptional(v.looseObject({})),
    verticalScaling: v.exactOptional(v.looseObject({ mode: v.exactOptional(v.string()) })),
    volumeExpansion: v.exactOptional(v.looseObject({ mode: v.exactOptional(v.string()) })),
    configuration: v.exactOptional(v.looseObject({})),
    tls: v.exactOptional(
      v.looseObject({
        ...tls,
        rotateCertificates: v.optional(v.boolean(), false),
        remove: v.optional(v.boolean(), false),
      }),
    ),
    authentication: v.exactOptional(
      v.looseObject({ secretRef: v.exactOptional(v.looseObject({ name: v.optional(v.string(), '') })) }),
    ),
    migration: v.exactOptional(v.looseObject({})),
  }),
  status: v.optional(
    v.looseObject({
      phase: v.optional(v.string(), ''),
      conditions: v.optional(v.array(Condition), []),
    }),
    {},
  ),
})
export type OpsRequest = v.InferOutput<typeof OpsRequest>

const constraints = v.array(v.string())
/** MySQL has two lists, of which KubeDB reads the one for groups whatever the topology. */
const Constraints = v.union([
  constraints,
  v.pipe(
    v.looseObject({ groupReplication: v.optional(constraints, []) }),
    v.transform(({ groupReplication }) => groupReplication),
  ),
])

/** A version in the catalog of any kind. */
export const Version = v.looseObject({
  metadata: Metadata,
  spec: v.looseObject({
    version: v.string(),
    distribution: v.exactOptional(v.string()),
    authPlugin: v.exactOptional(v.string()),
    deprecated: v.exactOptional(v.boolean()),
    db: v.exactOptional(
      v.looseObject({ image: v.exactOptional(v.string()), baseOS: v.exactOptional(v.string()) }),
    ),
    router: v.exactOptional(v.looseObject({ image: v.exactOptional(v.string()) })),
    securityContext: v.exactOptional(
      v.looseObject({ runAsUser: v.exactOptional(v.number()), runAsGroup: v.exactOptional(v.number()) }),
    ),
    updateConstraints: v.exactOptional(
      v.looseObject({ allowlist: v.exactOptional(Constraints), denylist: v.exactOptional(Constraints) }),
    ),
  }),
})
export type Version = v.InferOutput<typeof Version>

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
  spec: v.looseObject({
    storageClassName: v.exactOptional(v.string()),
    resources: v.optional(Resources, {}),
  }),
  status: v.optional(v.looseObject({ phase: v.optional(v.string(), 'Pending') }), {}),
})
