/** Makes a kind out of what it says of itself: what ten kinds do alike is said here, once. */
import { fieldRefusal, type Refusal } from '../../cluster/admission.ts'
import type { Spec } from '../../cluster/resources.ts'
import type { Complaints } from './complaints.ts'
import { type DefaultsTable, defaultsOf } from './defaults.ts'
import type { Block, Kind, OpsRules } from './kind.ts'
import type { Rule } from './rules.ts'
import { opsTypes, type Sections } from './shapes.ts'

/** What differs from one kind to the next: `kinds/<kind>.ts` has one of these each. */
export interface Description
  extends Omit<Kind, 'apiVersion' | 'title' | 'haltsPlainly' | 'admission' | 'ops'> {
  /** `kubedb.com/v1` by default. */
  readonly apiVersion?: Kind['apiVersion']
  /** That of the kind by default. */
  readonly title?: string
  readonly defaults: DefaultsTable
  /** What the validating webhook asks for, in its order. */
  readonly rules: readonly Rule[]
  /** Paths that never change; `spec.storageType` by default. */
  readonly fixed?: readonly string[]
  /** How DoNotTerminate forbids to delete it; {@link kept} by default. */
  readonly deletionRefusal?: Kind['admission']['deletionRefusal']
  readonly ops: {
    /** {@link opsTypes} by default. */
    readonly types?: readonly string[]
    /** `<kind>opsrequests.kubedb.com` by default. */
    readonly group?: string
    /** A plain refusal by default. */
    readonly absent?: OpsRules['absent']
    readonly complaints: Complaints
    /** What the keys in the blocks of requests are about, and the container that they scale. */
    sections(spec: Spec): Sections
    readonly container: string
    /** The container beside it that the key `coordinator` is about. */
    coordinator?(spec: Spec): string | undefined
    /** Keys of sections that keep no data. */
    readonly diskless?: readonly string[]
    /** Whether classes of disks, and whether settings, are said for each section. */
    readonly migratesBySection?: true
    readonly configuresBySection?: true
    /** Throws what the stand-in does not do. */
    supports?(block: Block): void
    readonly scaled: OpsRules['scaled']
    readonly restartsWhenScaled?: true
    readonly reconfigureUsers?: NonNullable<OpsRules['reconfigureUsers']>
  }
}

/** How most webhooks say that DoNotTerminate forbids to delete. */
export function kept(kind: string, policy = 'spec.deletionPolicy') {
  return (namespace: string, name: string) =>
    `${kind} "${namespace}/${name}" can't be terminated. To delete, change ${policy}`
}

/** How most kinds refuse a request without a database. */
function databaseNotFound(namespace: string, database: string, request: string): Refusal {
  return fieldRefusal({
    field: 'spec.databaseRef',
    value: request,
    detail: `spec.databaseRef ${namespace}/${database}, is invalid or not found`,
  })
}

/** @returns the kind that a description describes */
export function kindOf(description: Description): Kind {
  const { defaults, rules, fixed, deletionRefusal, ops, ...rest } = description
  const { sections, container, diskless = [], configuresBySection, supports } = ops
  return {
    apiVersion: 'kubedb.com/v1',
    title: rest.kind,
    ...rest,
    haltsPlainly: defaults.haltsPlainly ?? false,
    admission: {
      defaults: (db, version) => defaultsOf(defaults, db, version, rest.auth.disabled?.(db.spec) ?? false),
      async validate(db, context, old) {
        for (const rule of rules) await rule({ ...context, db, spec: db.spec, old })
      },
      fixed: fixed ?? ['spec.storageType'],
      deletionRefusal: deletionRefusal ?? kept(rest.kind.toLowerCase()),
    },
    ops: {
      types: opsTypes,
      group: `${rest.kind}opsrequests.kubedb.com`,
      absent: databaseNotFound,
      ...ops,
      complaint: (context) => ops.complaints[context.request.spec.type]?.(context),
      vertical({ spec }) {
        const coordinator = ops.coordinator?.(spec)
        return {
          ...Object.fromEntries(
            Object.entries(sections(spec)).map(([key, path]) => [key, { path, container }]),
          ),
          ...(coordinator === undefined ? {} : { coordinator: { path: [], container: coordinator } }),
        }
      },
      volumes: ({ spec }) =>
        Object.fromEntries(Object.entries(sections(spec)).filter(([key]) => !diskless.includes(key))),
      configured({ spec }, block) {
        supports?.(block)
        return configuresBySection ? sections(spec) : { '': [] }
      },
    },
  }
}
