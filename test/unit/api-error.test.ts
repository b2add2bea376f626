import test from 'ava'
import { ApiError, refusal, refuser, translate } from '../../shared/kubedb/cluster/api-error.ts'
import { BrokerError } from '../../shared/values/errors.ts'

const error = (
  status: number,
  message: string,
  reason = '',
  causes: { field: string; message: string }[] = [],
) => new ApiError(status, reason, message, causes)

test('a webhook of KubeDB refuses with 403, and is no lack of permission', (t) => {
  const message =
    'admission webhook "postgreswebhook.mutators.kubedb.com" denied the request: spec.storage is missing for durable storage type'
  t.is(refusal(error(403, message)), 'spec.storage is missing for durable storage type')
  t.is(
    refusal(error(403, 'admission webhook "x.kubedb.com" denied the request without explanation')),
    'refused by x.kubedb.com',
  )
  t.is(refusal(error(403, 'admission webhook "x.kubedb.com" denied the request: a\nb')), 'a\nb')
})

test('a webhook that looked in vain passes on the 404 it met: a refusal, no absent object', (t) => {
  const words = 'PostgresVersion.catalog.kubedb.com "99" not found'
  const met = error(
    404,
    `admission webhook "postgreswebhook.mutators.kubedb.com" denied the request: ${words}`,
    'NotFound',
  )
  t.is(refusal(met), words)
  t.false(met.absent)
  const absent = error(404, 'postgreses.kubedb.com "x" not found', 'NotFound')
  t.is(refusal(absent), undefined)
  t.true(absent.absent)
})

test('so may webhooks with 400 and 422', (t) => {
  const message = 'admission webhook "x" denied the request: spec.storage is required'
  t.is(refusal(error(400, message)), 'spec.storage is required')
  t.is(refusal(error(422, message)), 'spec.storage is required')
})

test('a quota is named', (t) => {
  const message =
    'postgreses.kubedb.com "osb-x" is forbidden: exceeded quota: small, requested: count/postgreses.kubedb.com=1, used: 1, limited: 1'
  t.is(refusal(error(403, message)), 'the namespace\'s quota "small" would be exceeded')
})

test('a lack of permission, or a namespace that is going, is not about the object', (t) => {
  for (const message of [
    'postgreses.kubedb.com is forbidden: User "system:serviceaccount:b:osb-provision" cannot create resource "postgreses"',
    'postgreses.kubedb.com "osb-x" is forbidden: unable to create new content in namespace d because it is being terminated',
  ]) {
    t.is(refusal(error(403, message)), undefined)
  }
})

test('a policy of the cluster is named, with its sentence where it has one', (t) => {
  const message =
    "postgreses.kubedb.com \"osb-x\" is forbidden: ValidatingAdmissionPolicy 'osb-names' with binding 'osb' denied request: failed expression: object.spec…"
  t.is(refusal(error(422, message)), "refused by the cluster's policy osb-names")
  const named =
    "postgreses.kubedb.com \"osb-x\" is forbidden: ValidatingAdmissionPolicy 'osb-postgreses' with binding 'osb-postgreses' denied request: spec.init: the broker writes no such field into a Postgres"
  t.is(
    refusal(error(422, named)),
    "refused by the cluster's policy osb-postgreses: spec.init: the broker writes no such field into a Postgres",
  )
  const broken =
    "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: expression 'object.x' resulted in error: no such key: x"
  t.is(refusal(error(422, broken)), "refused by the cluster's policy p")
})

test('an invalid object is told by its fields, never by the message', (t) => {
  const message =
    'Postgres.kubedb.com "osb-x" is invalid: spec.version: Invalid value: "secret": whole object here'
  const causes = [
    { field: 'spec.version', message: 'must be a string' },
    { field: 'spec.replicas', message: 'must be at least 1' },
  ]
  t.is(
    refusal(error(422, message, 'Invalid', causes)),
    'spec.version: must be a string; spec.replicas: must be at least 1',
  )
  // a failed JSON Patch test has no causes
  t.is(refusal(error(422, message, 'Invalid')), undefined)
})

test('strict decoding tells what follows its name: before that, the whole object is quoted', (t) => {
  const message =
    'Postgres in version "v1" cannot be handled as a Postgres: {"secret":"object"}: strict decoding error: unknown field "spec.bogus"'
  t.is(refusal(error(400, message)), 'unknown field "spec.bogus"')
  t.is(refusal(error(400, 'the body is no JSON: {"secret":1}')), undefined)
})

const panic =
  'admission webhook "elasticsearchwebhook.validators.kubedb.com" denied the request: panic: runtime error: invalid memory address or nil pointer dereference [recovered]'

test('a webhook that fell over an object has refused it for good', (t) => {
  const fallen = error(500, panic)
  t.is(
    refusal(fallen),
    'its webhook fails on it (runtime error: invalid memory address or nil pointer dereference)',
  )
  t.is(refuser(fallen), 'KubeDB cannot handle')
  t.false(fallen.inDoubt)
  t.is(translate(fallen, 'trying').problem, 'Misconfigured')
})

test('a webhook that was out of reach, or could not ask, has not', (t) => {
  for (const message of [
    'Internal error occurred: failed calling webhook "x": panic: no [recovered]',
    'admission webhook "x" denied the request: etcdserver: request timed out',
  ]) {
    const failed = error(500, message)
    t.is(refusal(failed), undefined)
    t.true(failed.inDoubt)
    t.is(translate(failed, 'trying').problem, 'Unavailable')
  }
})

test('everything else is no refusal', (t) => {
  for (const status of [0, 401, 404, 409, 429, 500, 503, 504]) {
    t.is(
      refusal(error(status, 'strict decoding error: admission webhook "x" denied the request: no')),
      undefined,
    )
  }
})

test('what may have happened all the same is in doubt', (t) => {
  for (const status of [0, 500, 502, 503, 504]) t.true(error(status, '').inDoubt)
  for (const status of [400, 401, 403, 404, 409, 422, 429]) t.false(error(status, '').inDoubt)
})

test('an absent object is told from an absent kind', (t) => {
  t.true(error(404, '', 'NotFound').absent)
  t.false(error(404, '404 page not found', 'NotAStatus').absent)
})

test("an answer that cannot be worked with is a fault of the broker or its cluster, never the user's", (t) => {
  const problem = (of: ApiError) => translate(of, 'reading').problem
  t.is(problem(error(0, 'ECONNREFUSED')), 'Unavailable')
  t.is(problem(error(503, '')), 'Unavailable')
  t.is(problem(error(429, '')), 'Unavailable')
  t.is(problem(error(401, '')), 'Misconfigured')
  t.is(problem(error(403, 'forbidden')), 'Misconfigured')
  t.is(problem(error(403, 'x is forbidden: exceeded quota: q, requested')), 'Misconfigured')
  t.is(problem(error(404, '404 page not found')), 'Misconfigured')
  t.is(problem(error(409, '')), 'ConcurrencyError')
})

test('messages of the API server stay in the log', (t) => {
  for (const status of [0, 400, 401, 403, 422, 500]) {
    const told = translate(error(status, 'top secret'), 'reading')
    t.notRegex(told.message, /secret/)
    t.truthy(told.cause)
  }
})

test('an error that has its sentence already keeps it; a mistake of the program stays one', (t) => {
  const known = new BrokerError('Gone', 'gone')
  t.is(translate(known, 'x'), known)
  t.throws(() => translate(new TypeError('a bug'), 'x'), { instanceOf: TypeError })
})
