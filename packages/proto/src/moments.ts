const DAY_SECONDS = 86_400
/** Days from 0000-03-01 to 1970-01-01: years that begin in March have their leap day at the end. */
const DAYS_BEFORE_1970 = 719_468
const DAYS_OF_400_YEARS = 146_097

/** Milliseconds since 1970 as people read them, to the second, in UTC. Pure rooms have no Date. */
export function secondOf(moment: number): string {
  const seconds = Math.floor(moment / 1000)
  const days = Math.floor(seconds / DAY_SECONDS)
  const left = seconds - days * DAY_SECONDS
  const time = [left / 3600, (left / 60) % 60, left % 60].map(twoDigits).join(':')
  return `${dayOf(days)}T${time}Z`
}

function dayOf(daysSince1970: number): string {
  const days = daysSince1970 + DAYS_BEFORE_1970
  const era = Math.floor(days / DAYS_OF_400_YEARS)
  const day = days - era * DAYS_OF_400_YEARS
  const yearOfEra = Math.floor(
    (day - Math.floor(day / 1460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365,
  )
  const dayOfYear = day - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  const year = yearOfEra + 400 * era + (month <= 2 ? 1 : 0)
  const dayOfMonth = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1
  return `${String(year).padStart(4, '0')}-${twoDigits(month)}-${twoDigits(dayOfMonth)}`
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0')
}
