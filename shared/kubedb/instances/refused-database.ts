/** What a platform is told about a database that the cluster does not take. Pure. */
import { BrokerError } from '../../values/errors.ts'
import { type ApiError, refusal, refuser, translate } from '../cluster/api-error.ts'
import { kindOf } from '../databases/kinds.ts'
import { type InstanceRecord, userFacing } from '../records/instance-record.ts'
import { kindIsMissing } from './versions.ts'

/** @returns what the platform is told about a database that the cluster does not take */
export function refused(
  { database: { kind, namespace, name } }: InstanceRecord,
  error: ApiError,
): BrokerError {
  const why = refusal(error)
  if (why !== undefined)
    return new BrokerError('BadRequest', `${refuser(error)} this database: ${userFacing(why)}`, {
      cause: error,
    })
  if (error.conflict) {
    return new BrokerError(
      'Conflict',
      `a ${kind} named ${name} that is not of this request is in namespace ${namespace}; remove it, or use another instance id`,
      { cause: error },
    )
  }
  if (error.absent) {
    return new BrokerError('BadRequest', `there is no namespace ${namespace} for the database`, {
      cause: error,
    })
  }
  if (error.status === 403 && /is being terminated/.test(error.message)) {
    return new BrokerError('BadRequest', `the namespace ${namespace} is being deleted`, { cause: error })
  }
  if (error.status === 403) return notGranted(namespace, error)
  if (error.status === 404) {
    return kindIsMissing(kindOf(kind), 'BadRequest', error)
  }
  return translate(error, 'creating the database')
}

export function notGranted(namespace: string, cause: ApiError): BrokerError {
  return new BrokerError(
    'BadRequest',
    `this broker may not make databases in namespace ${namespace}; its owner has to grant the broker's role there`,
    { cause },
  )
}
