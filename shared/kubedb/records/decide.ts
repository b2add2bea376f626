/**
 * The idempotency table of Open Service Broker: which request gets which answer in which state. Pure data, read by
 * the functions and tested cell by cell.
 */
import type { BindingRecord } from './binding-record.ts'
import type { InstanceRecord } from './instance-record.ts'

export type InstanceState = 'absent' | 'provisioning' | 'failed' | 'ready' | 'updating' | 'deprovisioning'

/** @returns the state of an instance, from its record alone */
export function instanceState(record: Pick<InstanceRecord, 'operation'> | undefined): InstanceState {
  if (!record) return 'absent'
  const { type, state } = record.operation
  switch (type) {
    case 'provision':
      return state === 'in progress' ? 'provisioning' : state === 'failed' ? 'failed' : 'ready'
    case 'update':
      return state === 'in progress' ? 'updating' : 'ready'
    case 'deprovision':
      return 'deprovisioning'
  }
}

export type BindingState = 'absent' | 'creating' | 'failed' | 'ready' | 'deleting'

/** @returns the state of a binding, from its record alone */
export function bindingState(record: Pick<BindingRecord, 'info'> | undefined): BindingState {
  return record ? record.info.state : 'absent'
}

/** `settle`: look at the database, then answer 202 with the same operation, or 200 when it is ready by now. */
export type ProvisionDecision = 'create' | 'settle' | 'identical' | 'conflict' | 'busy'

export const provisioning: { [S in InstanceState]: { same: ProvisionDecision; other: ProvisionDecision } } = {
  absent: { same: 'create', other: 'create' },
  provisioning: { same: 'settle', other: 'conflict' },
  failed: { same: 'settle', other: 'conflict' },
  ready: { same: 'identical', other: 'conflict' },
  updating: { same: 'busy', other: 'conflict' },
  deprovisioning: { same: 'busy', other: 'busy' },
}

export type UpdateDecision = 'plan' | 'under way' | 'busy' | 'not found' | 'impossible'

export const updating: { [S in InstanceState]: { same: UpdateDecision; other: UpdateDecision } } = {
  absent: { same: 'not found', other: 'not found' },
  provisioning: { same: 'busy', other: 'busy' },
  failed: { same: 'impossible', other: 'impossible' },
  ready: { same: 'plan', other: 'plan' },
  updating: { same: 'under way', other: 'busy' },
  deprovisioning: { same: 'busy', other: 'busy' },
}

export type DeprovisionDecision = 'delete' | 'under way' | 'gone'

export const deprovisioning: { [S in InstanceState]: DeprovisionDecision } = {
  absent: 'gone',
  provisioning: 'delete',
  failed: 'delete',
  ready: 'delete',
  updating: 'delete',
  deprovisioning: 'under way',
}

export type FetchDecision = 'show' | 'not found' | 'busy'

export const fetching: { [S in InstanceState]: FetchDecision } = {
  absent: 'not found',
  provisioning: 'not found',
  failed: 'not found',
  ready: 'show',
  updating: 'busy',
  deprovisioning: 'busy',
}

/** Whether an instance takes new bindings. */
export type BindableDecision = 'proceed' | 'not found' | 'busy' | 'impossible'

export const bindable: { [S in InstanceState]: BindableDecision } = {
  absent: 'not found',
  provisioning: 'busy',
  failed: 'impossible',
  ready: 'proceed',
  updating: 'proceed',
  deprovisioning: 'busy',
}

export type BindDecision = 'create' | 'carry on' | 'identical' | 'conflict' | 'busy' | 'impossible'

export const binding: { [S in BindingState]: { same: BindDecision; other: BindDecision } } = {
  absent: { same: 'create', other: 'create' },
  creating: { same: 'carry on', other: 'conflict' },
  failed: { same: 'impossible', other: 'impossible' },
  ready: { same: 'identical', other: 'conflict' },
  deleting: { same: 'busy', other: 'busy' },
}

export type UnbindDecision = 'delete' | 'under way' | 'clean up' | 'gone'

export const unbinding: { [S in BindingState]: UnbindDecision } = {
  absent: 'gone',
  creating: 'delete',
  failed: 'clean up',
  ready: 'delete',
  deleting: 'under way',
}

export const fetchingBinding: { [S in BindingState]: 'show' | 'not found' } = {
  absent: 'not found',
  creating: 'not found',
  failed: 'not found',
  ready: 'show',
  deleting: 'not found',
}
