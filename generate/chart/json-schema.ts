/** JSON Schemas of environment variables, as the values of a chart give them: numbers and flags as such, not as text. */
import * as v from 'valibot'

/** A JSON Schema, as far as the chart needs it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

/**
 * @param schema of the text of a variable, from shared/environment/config.ts. What it checks beyond patterns, lists and bounds is
 *   left to the functions, which refuse it at their start
 */
export function jsonSchemaOf(schema: v.GenericSchema): JsonSchema {
  const parts = partsOf(schema)
  const found = { description: v.getDescription(schema), ...(bounds(parts) ?? texts(parts)) }
  return Object.fromEntries(Object.entries(found).filter(([, each]) => each !== undefined))
}

/** What a pipe is made of, whatever it is nested in. */
type Part = v.GenericSchema | v.PipeItem<unknown, unknown, v.BaseIssue<unknown>>

function partsOf(part: Part): Part[] {
  if ('pipe' in part && Array.isArray(part.pipe)) {
    const [first, ...rest]: Part[] = part.pipe
    return [...(first === undefined ? [] : partsOf(first)), ...rest.flatMap(partsOf)]
  }
  if ('wrapped' in part && isPart(part.wrapped)) return partsOf(part.wrapped)
  return [part]
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && 'kind' in value && 'type' in value
}

function requirement(parts: readonly Part[], type: string): unknown {
  const part = parts.find((each) => each.type === type)
  return part !== undefined && 'requirement' in part ? part.requirement : undefined
}

/** Whole numbers are texts with bounds. */
function bounds(parts: readonly Part[]): JsonSchema | undefined {
  const minimum = requirement(parts, 'min_value')
  if (minimum === undefined) return undefined
  return { type: 'integer', minimum, maximum: requirement(parts, 'max_value') }
}

function texts(parts: readonly Part[]): JsonSchema {
  const list = parts.find((each) => each.type === 'picklist')
  if (list !== undefined && 'options' in list && Array.isArray(list.options)) {
    const options: unknown[] = list.options.map((option) => (/^\d+$/.test(option) ? Number(option) : option))
    return options.includes('true') ? { type: 'boolean' } : { enum: options }
  }
  const pattern = requirement(parts, 'regex')
  return {
    type: 'string',
    maxLength: requirement(parts, 'max_length'),
    pattern: pattern instanceof RegExp ? pattern.source : undefined,
  }
}
