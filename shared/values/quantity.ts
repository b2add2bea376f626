/**
 * Kubernetes quantities ("500m", "10Gi", "1e3"), exact: a whole number of thousandths, never a float.
 */

const notation = /^([0-9]{1,24})?(?:\.([0-9]{0,24}))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?$/

const powersOfTen: { readonly [suffix: string]: number } = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}

const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/** the largest that Kubernetes counts, 2^63 - 1, in thousandths */
const largest = 9_223_372_036_854_775_807_000n

/**
 * @param text a quantity in any of Kubernetes' notations, without a sign
 * @returns its thousandths (`1` is 1000n, `500m` is 500n), what is finer rounded up as Kubernetes does; undefined
 *   when the text is no quantity or more than Kubernetes can count
 */
export function parseQuantity(text: string): bigint | undefined {
  const match = notation.exec(text)
  if (!match) return undefined
  const [, whole = '', fraction = '', power, suffix, exponent] = match
  if (whole === '' && fraction === '') return undefined
  const factor = power === undefined ? 1n : 1024n ** BigInt(binary.indexOf(power) + 1)
  const tens =
    (suffix === undefined ? Number(exponent ?? 0) : (powersOfTen[suffix] ?? 0)) + 3 - fraction.length
  const digits = BigInt(whole + fraction) * factor
  const divisor = tens < 0 ? 10n ** BigInt(-tens) : 1n
  const thousandths = tens < 0 ? (digits + divisor - 1n) / divisor : digits * 10n ** BigInt(tens)
  return thousandths > largest ? undefined : thousandths
}

/** What a user may write for cores: up to three decimals, or thousandths ("m"). */
export const cpuPattern = '^([0-9]{1,6}(\\.[0-9]{1,3})?|[0-9]{1,9}m)$'

/** What a user may write for bytes: a whole number, or one with a suffix and up to three decimals. */
export const bytesPattern = '^([0-9]{1,15}|[0-9]{1,12}(\\.[0-9]{1,3})?([kMGTP]|[KMGTP]i))$'

/**
 * Checks a quantity of one unit against an inclusive range.
 *
 * @param unit what is counted; bytes only come whole
 * @returns what is wrong with it, as the end of a sentence that begins with its place; undefined when all is well
 */
export function quantityMistake(
  unit: 'cpu' | 'bytes',
  text: string,
  range: { min: string; max: string } | undefined,
): string | undefined {
  const value = parseQuantity(text)
  if (value === undefined)
    return `"${text.slice(0, 40)}" is not a quantity such as ${unit === 'cpu' ? '500m or 2' : '512Mi or 10Gi'}`
  if (value === 0n) return `${text} is nothing; it must be more than 0`
  if (unit === 'bytes' && value % 1000n !== 0n) return `${text} is not a whole number of bytes`
  if (range === undefined) return undefined
  const least = parseQuantity(range.min)
  if (least !== undefined && value < least) return `${text} is less than this plan's smallest, ${range.min}`
  const most = parseQuantity(range.max)
  if (most !== undefined && value > most) return `${text} is more than this plan's largest, ${range.max}`
  return undefined
}
