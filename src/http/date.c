/* The Date field's text (RFC 9110, section 5.6.7), kept for the second that it
 * is good for. Its own calendar: gmtime() and strftime() read the locale and the
 * time zone. */
#include "http/h1_write.h"

#define DAY_S 86400
#define LAST_S 253402300799 /* 9999-12-31T23:59:59Z */

static void two_digits(char *at, int64_t n)
{
    at[0] = (char)('0' + n / 10);
    at[1] = (char)('0' + n % 10);
}

/* Days since 1970-01-01 to a date of the Gregorian calendar. Years are counted
 * from March, so that the leap day is a year's last, in eras of 400 years. */
static void civil(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    int64_t since = days + 719468; /* 0000-03-01 */
    int64_t era = since / 146097, of_era = since % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */

    *ret_day = of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

static void print(char *text, int64_t wall_s)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t days = wall_s / DAY_S, second = wall_s % DAY_S, year, month, day;

    civil(days, &year, &month, &day);
    memcpy(text, "xxx, 00 xxx 0000 00:00:00 GMT", HTTP_DATE_LEN + 1);
    memcpy(text, weekdays + 3 * (days % 7), 3);
    two_digits(text + 5, day);
    memcpy(text + 8, months + 3 * (month - 1), 3);
    two_digits(text + 12, year / 100);
    two_digits(text + 14, year % 100);
    two_digits(text + 17, second / 3600);
    two_digits(text + 20, second / 60 % 60);
    two_digits(text + 23, second % 60);
}

weir_str http_date_at(struct http_date *date, int64_t wall_s)
{
    wall_s = wall_s < 0 ? 0 : wall_s > LAST_S ? LAST_S : wall_s;
    if (wall_s != date->wall_s || !date->text[0]) {
        print(date->text, wall_s);
        date->wall_s = wall_s;
    }
    return weir_str_from(date->text, HTTP_DATE_LEN);
}
