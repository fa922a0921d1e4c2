#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one test image and turns its report into TAP.

run-image.py IMAGE [-cpu MODEL] [-smp N] [--accel A] [--oracle A] [--device D]

The emulator is $TESSERA_BINARY; with --oracle it is qemu-system-x86_64 on that accelerator, to
check the test itself. TCG gets a second debug console at port 0xea, by which an image knows to
leave out what TCG is known to do wrong (see report.h).
"""
import argparse
import os
import subprocess
import sys
import tempfile

PASSED = 1  # isa-debug-exit: value << 1 | 1
TIMEOUT = 120


def command(args, report):
    machine = ['-machine', 'pc', '-m', '64', '-nodefaults', '-display', 'none', '-bios', args.image,
               '-smp', args.smp,
               '-chardev', 'file,id=report,path=' + report,
               '-device', 'isa-debugcon,iobase=0xe9,chardev=report',
               '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x4']
    if not args.oracle:
        binary = [os.environ['TESSERA_BINARY'], '-cpu', args.cpu]
        if args.accel:
            binary += ['-accel', args.accel]
    else:
        binary = ['qemu-system-x86_64', '-accel', args.oracle, '-cpu', args.cpu]
        if args.oracle == 'tcg':
            machine += ['-chardev', 'null,id=tcg',
                        '-device', 'isa-debugcon,iobase=0xea,chardev=tcg']
    if args.device:
        machine += ['-device', args.device]
    if args.icount:
        machine += ['-icount', args.icount]
    if not args.reboot:
        machine.append('-no-reboot')
    return binary + machine


def report_lines(path):
    with open(path, encoding='ascii', errors='replace') as f:
        return f.read().splitlines()


def to_tap(lines):
    """Prints the lines as TAP; true if there was a verdict and every check passed."""
    number, good, done = 0, True, False
    for line in lines:
        word, _, rest = line.partition(' ')
        if word in ('ok', 'FAIL', 'skip'):
            number += 1
            good = good and word != 'FAIL'
            state = 'not ok' if word == 'FAIL' else 'ok'
            directive = ' # SKIP' if word == 'skip' else ''
            print('%s %d - %s%s' % (state, number, rest, directive))
        elif word == 'done':
            done = True
        else:
            print('# ' + line)
    number += 1
    print('%s %d - the image came to its end' % ('ok' if done else 'not ok', number))
    print('1..%d' % number)
    return good and done


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('image')
    parser.add_argument('-cpu', default='max')
    parser.add_argument('-smp', default='1')
    parser.add_argument('--accel')
    parser.add_argument('--oracle')
    parser.add_argument('-icount')
    parser.add_argument('--device')
    parser.add_argument('--reboot', action='store_true')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = os.path.join(scratch, 'report')
        try:
            done = subprocess.run(command(args, report), timeout=TIMEOUT, check=False,
                                  stderr=subprocess.PIPE, encoding='utf-8', errors='replace')
            status, messages = done.returncode, done.stderr
        except subprocess.TimeoutExpired:
            status, messages = 'a timeout', ''
        good = to_tap(report_lines(report) if os.path.exists(report) else [])
    if 'lockstep:' in messages:
        status = 'a difference between translator and interpreter'
    print(''.join('# %s\n' % line for line in messages.splitlines()[:20]), end='')
    if status != PASSED:
        print('# the emulator ended with %s' % status)
    sys.exit(0 if good and status == PASSED else 1)


if __name__ == '__main__':
    main()
