/** A kind as the protocol sees it, for tests that must not move when the real one does. */
import type { Plan, Setting, Traits } from '../../shared/values/nouns.ts'

const size: Setting = { type: 'string', pattern: '^[1-9][0-9]{0,6}(kB|MB|GB)$' }

const engine = 'podTemplate.spec.containers.*'

export const postgresTraits: Traits = {
  kind: 'Postgres',
  parameters: [
    'version',
    'cpu',
    'memory',
    'storage',
    'storageClass',
    'replicas',
    'database',
    'configuration',
    'deletionPolicy',
    'suspended',
    'metadata',
    'spec',
  ],
  settings: {
    max_connections: { type: 'integer', min: 20, max: 5000 },
    work_mem: size,
    random_page_cost: { type: 'number', min: 0 },
    jit: { type: 'boolean' },
    search_path: { type: 'string', pattern: '^[^;]*$' },
  },
  spec: [
    'replicas',
    'standbyMode=Hot|Warm',
    'streamingMode=Synchronous|Asynchronous',
    'storageType=Durable|Ephemeral',
    'storage.storageClassName',
    'storage.accessModes.*=ReadWriteOnce|ReadWriteOncePod',
    'storage.resources.requests.storage',
    `${engine}.name=postgres`,
    `${engine}.resources.requests.cpu`,
    `${engine}.resources.requests.memory`,
    `${engine}.resources.limits.cpu`,
    `${engine}.resources.limits.memory`,
    'deletionPolicy=Halt|Delete|WipeOut',
    'healthChecker.**',
  ],
  databaseName: {
    default: 'app',
    pattern: '^[a-z_][a-z0-9_]*$',
    maxLength: 63,
    reserved: ['postgres', 'template0'],
  },
  roles: ['owner', 'readWrite', 'readOnly'],
}

/** A plan that lets everything be set. */
export const generousPlan: Pick<Plan, 'version' | 'spec' | 'parameters'> = {
  version: '18.3',
  spec: {
    replicas: 1,
    storageType: 'Durable',
    storage: { resources: { requests: { storage: '10Gi' } } },
    deletionPolicy: 'WipeOut',
  },
  parameters: {
    version: { enum: ['18.3', '17.9'] },
    cpu: { min: '250m', max: '4' },
    memory: { min: '512Mi', max: '8Gi' },
    storage: { min: '10Gi', max: '100Gi' },
    storageClass: { enum: ['fast', 'standard'] },
    replicas: { min: 1, max: 5 },
    database: true,
    configuration: true,
    deletionPolicy: { enum: ['WipeOut', 'Halt'] },
    suspended: true,
    metadata: true,
    spec: true,
  },
}
