/** How a gateway is to match a path: by the whole text, or by an expression that RE2, PCRE and Go read alike. */
export type PathPattern = { type: 'Exact' | 'RegularExpression'; value: string }

/**
 * The forms hold wherever gateways differ: some match the whole path, some only its beginning, some anywhere in it.
 * So there is no leading `^` (some add one), always a closing `$`, and nothing but literals and `[^/]+`; and no path
 * of one method matches two of them, whatever their order.
 *
 * @param template path of the route map, `:name` standing for one segment
 */
export function pathPattern(template: string): PathPattern {
  if (!template.includes('/:')) return { type: 'Exact', value: template }
  const value = template
    .split('/')
    .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('/')
  return { type: 'RegularExpression', value: `${value}$` }
}
