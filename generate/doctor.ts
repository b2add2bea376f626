/** The doctor as a Job in the cluster: what it may look at, and the one thing it may try. */
import { stringify } from 'yaml'
import type { ClusterRole, ClusterRoleBinding } from './cluster-role.ts'
import { type Files, type Manifest, yaml } from './manifest.ts'
import { defaultNamespaces } from './rbac.ts'
import { type KindResources, type Namespaces, nameOf, type Role, type RoleBinding } from './roles.ts'
import { image, mounted, resources, securityContext } from './services.ts'

const name = 'osb-doctor'
const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }
const rbac = 'rbac.authorization.k8s.io'
const look = ['get', 'list']

interface Job extends Manifest {
  spec: object
}

/** @returns the Job, its ServiceAccount and its Roles */
export function doctor(
  namespaces: Namespaces,
  kinds: readonly KindResources[],
): (Manifest | Role | RoleBinding | ClusterRole | ClusterRoleBinding | Job)[] {
  const { broker, databases } = namespaces
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: broker, labels } },
    ...inCluster(broker, kinds),
    ...granted(broker, broker, [
      rule('', ['configmaps', 'serviceaccounts'], look),
      rule(
        '',
        ['secrets'],
        ['get'],
        [mounted.users, mounted.keys, mounted.dashboard].map(({ volume }) => volume.secret.secretName),
      ),
      rule('appcatalog.appscode.com', ['appbindings'], look),
      rule('serving.knative.dev', ['services'], look),
      rule('apps', ['deployments'], look),
      rule('gateway.networking.k8s.io', ['httproutes'], look),
      rule('networking.istio.io', ['virtualservices'], look),
      rule('projectcontour.io', ['httpproxies'], look),
      // What is tried out is tried in its name: the policy is about the names of functions.
      rule('', ['serviceaccounts'], ['impersonate'], [nameOf({ function: 'provision' })]),
    ]),
    ...granted(broker, databases, [
      rule(
        'kubedb.com',
        kinds.map(({ plural }) => plural),
        look,
      ),
      rule('cert-manager.io', ['issuers'], look),
    ]),
    job(namespaces),
  ]
}

/** @returns its files below knative/ */
export function doctorFiles(kinds: readonly KindResources[]): Files {
  const kustomization = stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: ['600-doctor.yaml'],
  })
  return {
    'knative/doctor/600-doctor.yaml': yaml(
      'Checks the cluster once: `kubectl logs -f job/osb-doctor` tells, its exit code says whether something is broken.',
      doctor(defaultNamespaces, kinds),
    ),
    'knative/doctor/kustomization.yaml': `# By itself, beside the broker: kubectl delete -k and apply -k again for another look.\n${kustomization}`,
  }
}

type Rule = Role['rules'][number] & { resourceNames?: string[] }

const rule = (group: string, resources: string[], verbs: string[], resourceNames?: string[]): Rule => ({
  apiGroups: [group],
  resources,
  ...(resourceNames ? { resourceNames } : {}),
  verbs,
})

function inCluster(broker: string, kinds: readonly KindResources[]): (ClusterRole | ClusterRoleBinding)[] {
  return [
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name, labels },
      rules: [
        rule(
          'catalog.kubedb.com',
          kinds.map(({ versionsPlural }) => versionsPlural),
          look,
        ),
        rule('storage.k8s.io', ['storageclasses'], look),
        rule('cert-manager.io', ['clusterissuers'], look),
        rule(
          'admissionregistration.k8s.io',
          [
            'mutatingwebhookconfigurations',
            'validatingadmissionpolicies',
            'validatingadmissionpolicybindings',
            'validatingwebhookconfigurations',
          ],
          look,
        ),
        rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
      ],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name, labels },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: broker }],
    },
  ]
}

function granted(broker: string, namespace: string, rules: Rule[]): (Role | RoleBinding)[] {
  return [
    { apiVersion: `${rbac}/v1`, kind: 'Role', metadata: { name, namespace, labels }, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name, namespace, labels },
      roleRef: { apiGroup: rbac, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: broker }],
    },
  ]
}

function job({ broker, databases }: Namespaces): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: broker, labels },
    spec: {
      // What is broken stays broken until a person has looked.
      backoffLimit: 0,
      activeDeadlineSeconds: 600,
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          restartPolicy: 'Never',
          enableServiceLinks: false,
          containers: [
            {
              name: 'doctor',
              image,
              args: ['doctor'],
              env: [
                { name: 'BROKER_NAMESPACE', value: broker },
                { name: 'DATABASE_NAMESPACE', value: databases },
              ],
              resources,
              securityContext,
            },
          ],
        },
      },
    },
  }
}
