#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# mkdebian.sh IMAGE: a bootable Debian 12 disk with the guest benchmark in it; login root/root on
# ttyS0. MBR, GRUB and ext4; systemd, the cloud kernel, sshd and Python. Kernel and initrd are copied
# beside the image. Needs root, a Debian 12 host with loop devices, debootstrap; bench/build first.
set -eux
image=$(realpath -m "${1:?usage: mkdebian.sh IMAGE}")
bench=$(dirname "$(dirname "$(realpath "$0")")")/build/bench/bench
work=$(mktemp -d)
root=$work/root
mount=$work/mnt
# whatever apt is set up with
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)}
packages=systemd,systemd-sysv,udev,dbus,iproute2,iputils-ping,isc-dhcp-client,ifupdown,procps,kmod
packages=$packages,e2fsprogs,login,passwd,less,vim-tiny,openssh-server,python3-minimal

debootstrap --variant=minbase --include="$packages" bookworm "$root" "$mirror"
mount -t proc proc "$root/proc"
DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y --no-install-recommends \
    linux-image-cloud-amd64 initramfs-tools grub-pc
umount "$root/proc"
kernel=$(cd "$root/boot" && echo vmlinuz-* | sed s/vmlinuz-//)
echo debvm > "$root/etc/hostname"
echo root:root | chroot "$root" chpasswd
echo 'LABEL=debian / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
cat > "$root/etc/network/interfaces" <<X
auto lo
iface lo inet loopback
allow-hotplug ens3
iface ens3 inet dhcp
allow-hotplug enp0s2
iface enp0s2 inet dhcp
X
rm -f "$root"/var/cache/apt/archives/*.deb
install -D -m755 "$bench" "$root/usr/local/bin/bench"

truncate -s 2G "$image"
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$image"
loop=$(losetup -f --show "$image")
partition=$(losetup -f --show -o 1048576 "$image")
mkfs.ext4 -q -L debian -d "$root" "$partition"
mkdir -p "$mount"
mount "$partition" "$mount"
for dir in dev proc sys; do
    mount --bind "/$dir" "$mount/$dir"
done
chroot "$mount" grub-install --target=i386-pc --modules='part_msdos ext2 biosdisk' "$loop"
cat > "$mount/boot/grub/grub.cfg" <<X
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
set default=0
menuentry 'Debian GNU/Linux' {
  insmod part_msdos
  insmod ext2
  search --no-floppy --label debian --set=root
  echo 'GRUB: loading Linux'
  linux /boot/vmlinuz-$kernel root=LABEL=debian ro console=ttyS0
  echo 'GRUB: loading initrd'
  initrd /boot/initrd.img-$kernel
}
X
cp "$mount/boot/vmlinuz-$kernel" "$(dirname "$image")/debian-vmlinuz"
cp "$mount/boot/initrd.img-$kernel" "$(dirname "$image")/debian-initrd.img"
for dir in dev proc sys; do
    umount "$mount/$dir"
done
umount "$mount"
losetup -d "$partition"
losetup -d "$loop"
rm -rf "$work"
