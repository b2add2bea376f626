import type * as v from 'valibot'
import { isObject } from '../../values/json.ts'
import { member } from '../parameters/schema.ts'

/** @returns a sentence for what valibot found in the catalog file: place, what is wrong, what would be right */
export function shapeMistake(issue: v.BaseIssue<unknown>): string {
  const path = (issue.path ?? []).reduce((place, { key }) => {
    const step = typeof key === 'number' ? key : String(key)
    return place === '' ? String(step) : member(place, step)
  }, '')
  return `${path === '' ? 'the file' : path}: ${saying(issue)}`
}

/**
 * @param mistake beginning with a place such as `services[0].plans[1].id`
 * @returns the same with the names of service and plan, which people look for rather than numbers
 */
export function withNames(document: unknown, mistake: string): string {
  const at = /^services\[([0-9]+)\](?:\.plans\[([0-9]+)\])?/.exec(mistake)
  const colon = mistake.indexOf(': ')
  if (!at || colon < 0) return mistake
  const service = element(isObject(document) ? document.services : undefined, at[1])
  const plan = element(service?.plans, at[2])
  const names = [service?.name, plan?.name].filter((name) => typeof name === 'string')
  if (names.length === 0) return mistake
  return `${mistake.slice(0, colon)} (${names.join(' ')})${mistake.slice(colon)}`
}

function element(list: unknown, index: string | undefined): { [key: string]: unknown } | undefined {
  if (!Array.isArray(list) || index === undefined) return undefined
  const found: unknown = list[Number(index)]
  return isObject(found) ? found : undefined
}

const types: { readonly [type: string]: string } = {
  array: 'a list',
  boolean: 'true or false',
  number: 'a number',
  object: 'a mapping',
  object_with_rest: 'a mapping',
  loose_object: 'a mapping',
  record: 'a mapping',
  string: 'a string',
}

/** The format's own words where it has some, ours for a wrong type, of which valibot speaks in TypeScript. */
function saying({ type, message, input, expected }: v.BaseIssue<unknown>): string {
  if (!message.startsWith('Invalid ')) return message
  const wanted = types[type] ?? expected ?? type
  return input === undefined
    ? `is missing; it must be there${expected?.startsWith('"') ? '' : `, ${wanted}`}`
    : `must be ${wanted}`
}
