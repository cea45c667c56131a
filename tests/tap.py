"""Results for prove, for tests in Python: call ok() for each, finish with
done(). (Tests in C have tap.h.)"""
import sys

count = failed = 0


def ok(good, what, *details):
    """Count a result, and print the details if it is bad. Was it good?"""
    global count, failed
    count += 1
    failed += not good
    print(f'{"" if good else "not "}ok {count} - {what}')
    for d in () if good else details:
        print('# ' + str(d)[-3000:].replace('\n', '\n# '))
    sys.stdout.flush()
    return good


def skip(what, why):
    global count
    count += 1
    print(f'ok {count} - {what} # skip {why}', flush=True)


def child(lines):
    """Pass on the results of another program's output."""
    for line in lines.splitlines():
        if line.startswith(('ok ', 'not ok ')):
            ok(line.startswith('ok'), line.partition(' - ')[2])
        elif not line.startswith('1..'):
            print(line if line.startswith('#') else '# ' + line)


def done():
    print(f'1..{count}')
    raise SystemExit(failed != 0)
