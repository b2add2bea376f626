import test from 'ava'
import * as v from 'valibot'
import { Deployment, Pod, stateOfDeployment } from '../../e2e/deployment-state.ts'

const deployment = (status?: object) =>
  v.parse(Deployment, {
    kind: 'Deployment',
    metadata: { name: 'osb-bind', generation: 2 },
    spec: { replicas: 1, selector: { matchLabels: { app: 'osb-bind' } } },
    ...(status && { status }),
  })
const done = { observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1 }

const pod = (app: string, ...containerStatuses: object[]) =>
  v.parse(Pod, {
    kind: 'Pod',
    metadata: { name: `${app}-1`, labels: { app } },
    status: { containerStatuses },
  })
const waiting = (reason: string, message?: string) => ({ state: { waiting: { reason, message } } })

test('it is ready once its pods are all new and serve', (t) => {
  t.deepEqual(stateOfDeployment(deployment(done), []), { state: 'ready' })
  const others = [
    { ...done, observedGeneration: 1 },
    { ...done, replicas: 2 },
    { ...done, updatedReplicas: 0 },
    { ...done, availableReplicas: 0 },
  ]
  for (const status of others) t.is(stateOfDeployment(deployment(status), []).state, 'coming')
})

test('nobody has looked at it yet', (t) => {
  t.deepEqual(stateOfDeployment(deployment(), []), { state: 'coming', why: '' })
})

test('a container that starts is no failure', (t) => {
  const pods = [pod('osb-bind', waiting('ContainerCreating')), pod('osb-bind')]
  const status = { ...done, availableReplicas: 0 }
  t.deepEqual(stateOfDeployment(deployment(status), pods), {
    state: 'coming',
    why: 'its pods are not ready',
  })
})

test("a container that cannot start: the kubelet's words; those of other pods do not count", (t) => {
  const status = { ...done, availableReplicas: 0 }
  const other = pod('osb-unbind', waiting('ImagePullBackOff', 'Back-off pulling image "other"'))
  t.is(stateOfDeployment(deployment(status), [other]).state, 'coming')
  const own = pod('osb-bind', { state: {} }, waiting('ErrImagePull', 'pull QPS exceeded'))
  t.deepEqual(stateOfDeployment(deployment(status), [other, own]), {
    state: 'failed',
    why: 'ErrImagePull pull QPS exceeded',
  })
})

test('a container that ends again and again: how it ended', (t) => {
  const crashing = pod('osb-bind', {
    ...waiting('CrashLoopBackOff', 'back-off 10s'),
    lastState: { terminated: { reason: 'Error', message: 'LOG_LEVEL is "loud"' } },
  })
  t.deepEqual(stateOfDeployment(deployment(), [crashing]), {
    state: 'failed',
    why: 'CrashLoopBackOff back-off 10s Error LOG_LEVEL is "loud"',
  })
})
