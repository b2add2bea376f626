/** Cases of AppBindings: those of KubeDB, and the broker's records. */
import type { Bad, Good, Kind } from './kind.ts'

export const appBinding: Kind = {
  path: '/apis/appcatalog.appscode.com/v1alpha1/namespaces/default/appbindings',
  apiVersion: 'appcatalog.appscode.com/v1alpha1',
  kind: 'AppBinding',
}

const ref = { apiGroup: 'kubedb.com', kind: 'Postgres', namespace: 'default', name: 'osb-x' }

export const goodAppBindings: Good = {
  "KubeDB's of a Postgres": {
    type: 'kubedb.com/postgres',
    version: '18.3',
    appRef: ref,
    secret: { name: 'osb-x-auth' },
    tlsSecret: { name: 'osb-x-client-cert' },
    clientConfig: {
      caBundle: 'aGVsbG8=',
      service: { name: 'osb-x', port: 5432, path: '/', query: 'sslmode=disable', scheme: 'postgresql' },
    },
    parameters: {
      apiVersion: 'appcatalog.appscode.com/v1alpha1',
      kind: 'StashAddon',
      stash: { addon: { backupTask: { name: 'postgres-backup' } } },
    },
  },
  'one with a URL': { clientConfig: { url: 'tcp(osb-x.default.svc:3306)/', insecureSkipTLSVerify: true } },
  'one with other keys': {
    clientConfig: { serverName: 'x' },
    secretTransforms: [
      { renameKey: { from: 'a', to: 'b' } },
      { addKey: { key: 'a', stringValue: 'b' } },
      { addKeysFrom: { secretRef: { name: 'a' } } },
      { removeKey: { key: 'a' } },
    ],
  },
  'the record of an instance': { type: 'osb.kubedb.com/instance', appRef: ref, clientConfig: {} },
  'the record of a binding': { type: 'osb.kubedb.com/binding', appRef: ref, clientConfig: {} },
}

export const badAppBindings: Bad = {
  'without a client': [{ type: 'osb.kubedb.com/instance' }, /spec.clientConfig: Required value/],
  'a Service without a scheme': [
    { clientConfig: { service: { name: 'x', port: 1 } } },
    /spec.clientConfig.service.scheme: Required value/,
  ],
  'a port in words': [
    { clientConfig: { service: { name: 'x', port: '5432', scheme: 'tcp' } } },
    /spec.clientConfig.service.port in body must be of type integer/,
  ],
  'an application without a name': [
    { clientConfig: {}, appRef: { kind: 'Postgres' } },
    /spec.appRef.name: Required value/,
  ],
  'a Secret without a name': [{ clientConfig: {}, secret: {} }, /spec.secret.name: Required value/],
  'an unknown field': [{ clientConfig: {}, state: 'ready' }, /unknown field \\"spec.state\\"/],
  'certificates that are no base64': [{ clientConfig: { caBundle: '*' } }, /spec.clientConfig.caBundle/],
  'parameters without a kind': [
    { clientConfig: {}, parameters: { a: 1 } },
    /spec.parameters.(apiVersion|kind): Required value/,
  ],
}
